//! Generates Rust from the `.proto` files with protox, so that no `protoc` is needed.

use std::{env, fs, path::Path};

/// The calls that move content. They are served without the generated code, which would copy it: see `transfer`.
const TRANSFERS: [&str; 3] = ["FetchModel", "SubmitUpdate", "DownloadModel"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "federated/v1/model.proto",
        "federated/v1/secure_aggregation.proto",
        "federated/v1/participation.proto",
        "federated/v1/operation.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let mut descriptors = protox::compile(files, ["."])?;
    tonic_prost_build::configure()
        .build_server(false)
        // Payloads stay slices of the received buffer.
        .bytes(".")
        // Maps in a fixed order: the same message always has the same bytes.
        .btree_map(".")
        .compile_fds(descriptors.clone())?;
    for service in descriptors.file.iter_mut().flat_map(|file| &mut file.service) {
        service.method.retain(|method| !TRANSFERS.contains(&method.name()));
    }
    let service = Path::new(&env::var("OUT_DIR")?).join("service");
    fs::create_dir_all(&service)?;
    tonic_prost_build::configure()
        .build_client(false)
        .out_dir(service)
        .extern_path(".federated.v1", "crate::v1")
        .compile_fds(descriptors)?;
    Ok(())
}
