//! Generates Rust from the `.proto` files with protox, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files =
        ["federated/v1/model.proto", "federated/v1/participation.proto", "federated/v1/operation.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure()
        // Payloads stay slices of the received buffer.
        .bytes(".")
        // Maps in a fixed order: the same message always has the same bytes.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
