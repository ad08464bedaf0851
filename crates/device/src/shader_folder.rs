//! WGSL files of a folder in the place of the built-in ones, so that an idea can be tried where there is no compiler.

use std::collections::BTreeMap;
use std::path::Path;

use wgrad_shaders::ALL;

/// The files of a folder that stand for files of `shaders/`, each under the same name (`products/gemm_tile.wgsl`,
/// `elementwise/unary/relu.wgsl`). Kernels made of other files only are as they were.
#[derive(Clone, Debug)]
pub struct ShaderFolder {
    /// By the file's name, without `.wgsl`.
    texts: BTreeMap<String, String>,
}

impl ShaderFolder {
    /// Reads every `.wgsl` file of `folder` and of the folders in it.
    ///
    /// # Errors
    /// What the system says of a file, and a file that has no namesake in `shaders/`, or none at all: it would be
    /// measured as if it were in use.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let mut texts = BTreeMap::new();
        read_below(folder, folder, &mut texts)?;
        let invalid = |message| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        let is_known = |name: &str| ALL.iter().any(|file| file.name() == name);
        let unknown: Vec<_> =
            texts.keys().filter(|name| !is_known(name)).map(|name| format!("{name}.wgsl")).collect();
        if !unknown.is_empty() {
            return invalid(format!("{} is no file that a kernel is made of", unknown.join(", ")));
        }
        if texts.is_empty() {
            return invalid("no .wgsl file in it".to_owned());
        }
        Ok(Self { texts })
    }

    /// The names of the files that are replaced, as [`wgrad_shaders::File::name`] gives them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// Whether one of the files of a kernel, as [`crate::Composed::files`] names them, is replaced.
    pub fn affects(&self, files: &[String]) -> bool {
        files.iter().any(|file| self.texts.contains_key(file))
    }

    /// The text that stands for a file's, if one does.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

fn read_below(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_below(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            let name = path.strip_prefix(root).unwrap_or(&path).with_extension("");
            let name = name.to_string_lossy().replace('\\', "/");
            found.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
