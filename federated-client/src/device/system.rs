//! What CUDA needs on this machine, found without loading any of it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::DeviceError;

const DRIVER: &str = "libcuda.so";
const COMPILER: &str = "libnvrtc.so";

/// Where the dynamic loader looks beside its cache and `LD_LIBRARY_PATH`.
const LOADER_FOLDERS: [&str; 4] = ["lib64", "usr/lib64", "lib", "usr/lib"];

/// The machine's file system and the variables that matter, so that tests can have their own.
#[derive(Debug)]
pub(super) struct System {
    root: PathBuf,
    library_path: Option<OsString>,
    cuda_path: Option<OsString>,
}

impl System {
    #[cfg(feature = "cuda")]
    pub(super) fn current() -> Self {
        let (library_path, cuda_path) = (std::env::var_os("LD_LIBRARY_PATH"), std::env::var_os("CUDA_PATH"));
        Self { root: PathBuf::from("/"), library_path, cuda_path }
    }

    /// Checks that the driver, the runtime compiler, its headers and the GPU are there.
    ///
    /// Other systems than Linux keep these elsewhere; there the first touch decides.
    pub(super) fn check(&self, index: u16) -> Result<(), DeviceError> {
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        if !self.has_library(DRIVER) {
            let remedy = "install the NVIDIA driver; in a container, start it with access to the GPU";
            return Err(DeviceError::NoLibrary { library: DRIVER, remedy });
        }
        self.check_index(index)?;
        if !self.has_library(COMPILER) {
            let remedy = "install the CUDA runtime compiler (NVRTC), or add its folder to LD_LIBRARY_PATH";
            return Err(DeviceError::NoLibrary { library: COMPILER, remedy });
        }
        let header = self.toolkit().join("include/cuda_runtime.h");
        if header.exists() { Ok(()) } else { Err(DeviceError::NoHeaders { path: header }) }
    }

    /// The driver makes a device file for each GPU; under Windows' Linux there is one for all of them.
    fn check_index(&self, index: u16) -> Result<(), DeviceError> {
        let is_gpu = |name: &str| {
            let number = name.strip_prefix("nvidia").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        let found = names_in(&self.root.join("dev")).filter(|name| is_gpu(name)).count();
        if usize::from(index) < found || self.root.join("dev/dxg").exists() {
            Ok(())
        } else {
            Err(DeviceError::NoSuchDevice { index, found })
        }
    }

    fn has_library(&self, library: &str) -> bool {
        let named = self.library_path.iter().flat_map(std::env::split_paths);
        let standard = LOADER_FOLDERS.iter().map(|folder| self.root.join(folder));
        let in_folder = |folder: PathBuf| names_in(&folder).any(|name| name.starts_with(library));
        named.chain(standard).any(in_folder) || self.in_loader_cache(library)
    }

    /// The cache is binary, but holds each library's path as text.
    fn in_loader_cache(&self, library: &str) -> bool {
        let cache = fs::read(self.root.join("etc/ld.so.cache")).unwrap_or_default();
        cache.windows(library.len()).any(|window| window == library.as_bytes())
    }

    /// The folder where the CUDA runtime looks for its headers.
    fn toolkit(&self) -> PathBuf {
        if let Some(path) = &self.cuda_path {
            return PathBuf::from(path);
        }
        let known = ["usr/local/cuda", "opt/cuda"].map(|folder| self.root.join(folder));
        let [standard, _] = &known;
        let standard = standard.clone();
        if self.root.join("usr/bin/nvcc").exists() && !known.iter().any(|folder| folder.exists()) {
            return self.root.join("usr");
        }
        known.into_iter().find(|folder| folder.exists()).unwrap_or(standard)
    }
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn system(files: &[&str]) -> (tempfile::TempDir, System) {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let system = System { root: root.path().to_owned(), library_path: None, cuda_path: None };
        (root, system)
    }

    const COMPLETE: [&str; 5] = [
        "usr/lib64/libcuda.so.1",
        "usr/lib64/libnvrtc.so.12",
        "dev/nvidia0",
        "dev/nvidiactl",
        "usr/local/cuda/include/cuda_runtime.h",
    ];

    #[test]
    fn a_complete_installation_passes() {
        let (_root, system) = system(&COMPLETE);
        assert_eq!(system.check(0), Ok(()));
        assert_eq!(system.check(1), Err(DeviceError::NoSuchDevice { index: 1, found: 1 }));
    }

    #[test]
    fn whatever_is_missing_is_named_with_its_remedy() {
        let without = |file: &str| {
            let files: Vec<_> = COMPLETE.into_iter().filter(|present| *present != file).collect();
            let (_root, system) = system(&files);
            system.check(0).unwrap_err().to_string()
        };
        assert!(without("usr/lib64/libcuda.so.1").contains("install the NVIDIA driver"));
        assert!(without("usr/lib64/libnvrtc.so.12").contains("libnvrtc.so"));
        assert!(without("dev/nvidia0").contains("found 0 NVIDIA devices"));
        assert!(without("usr/local/cuda/include/cuda_runtime.h").contains("CUDA_PATH"));
    }

    #[test]
    fn libraries_are_found_by_the_loader_cache_and_the_library_path() {
        let (root, mut system) = system(&["dev/nvidia0", "own/libnvrtc.so", "own/include/cuda_runtime.h"]);
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/ld.so.cache"), b"\x01\0libcuda.so.1\0/opt/driver/libcuda.so.1\0")
            .unwrap();
        assert!(matches!(system.check(0), Err(DeviceError::NoLibrary { library: COMPILER, .. })));
        system.library_path = Some(root.path().join("own").into());
        system.cuda_path = Some(root.path().join("own").into());
        assert_eq!(system.check(0), Ok(()));
    }

    #[test]
    fn the_runtime_library_is_not_taken_for_the_driver() {
        let (_root, system) = system(&["usr/lib/libcudart.so.12", "dev/nvidia0"]);
        assert!(matches!(system.check(0), Err(DeviceError::NoLibrary { library: DRIVER, .. })));
    }
}
