//! A kernel's module: the texts of its files, behind each other, and what a launch declares.

use std::borrow::Cow;
use std::fmt::Write;

use wgrad_shaders::{File, Kernel, MAX_CHOICES};

/// What a launch declares in front of a kernel's files, and what tells its variants apart.
pub(crate) type Declarations = [(&'static str, Declared)];

/// A declaration's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// `const name = value;`, an unsigned integer.
    Number(usize),
    /// `alias name = type;`
    Type(&'static str),
}

/// A composed module.
pub(crate) struct Module {
    pub source: String,
    /// The names of its files and where each begins, and last what the launch declares.
    parts: Vec<(String, usize)>,
}

impl Module {
    /// The names of the files, the kernel's own first.
    pub(crate) fn files(&self) -> Vec<String> {
        let (_launch, files) = self.parts.split_last().unzip();
        files.unwrap_or_default().iter().map(|(name, _)| name.clone()).collect()
    }

    /// `file:line:column` of a byte of the source.
    pub(crate) fn place(&self, byte: usize) -> String {
        let end = self.parts.partition_point(|(_, start)| *start <= byte);
        let Some((name, start)) = end.checked_sub(1).map(|i| &self.parts[i]) else { return String::new() };
        let before = self.source.get(*start..byte).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        format!("{name}:{}:{}", before.matches('\n').count() + 1, column + 1)
    }
}

/// Where the texts of files come from.
#[derive(Default)]
pub(crate) struct Texts {
    #[cfg(feature = "shader-folder")]
    pub folder: Option<crate::ShaderFolder>,
}

impl Texts {
    /// The text of a file.
    fn of<'a>(&'a self, file: &'a File) -> Cow<'a, str> {
        #[cfg(feature = "shader-folder")]
        if let Some(text) = self.folder.as_ref().and_then(|folder| folder.text_of(file.name())) {
            return Cow::Borrowed(text);
        }
        Cow::Borrowed(file.text())
    }
}

/// The module of `kernel`: its own file, those chosen, and those that they use, each once; WGSL's module scope has no
/// order, and so what is declared stands at the end, and the lines of the kernel's own file keep their numbers.
pub(crate) fn compose(kernel: &Kernel<'_>, declared: &Declarations, texts: &Texts) -> Result<Module, String> {
    let chosen = kernel.choice_count();
    if chosen > MAX_CHOICES {
        return Err(format!("{chosen} files are chosen for it, more than {MAX_CHOICES}"));
    }
    let mut files: Vec<&File> = Vec::new();
    kernel.files().for_each(|file| add(&mut files, file));
    let mut module = Module { source: String::new(), parts: Vec::new() };
    if declared.iter().any(|(_, value)| matches!(value, Declared::Type(name) if name.contains("f16"))) {
        module.source.push_str("enable f16; ");
    }
    let mut next = 0;
    while let Some(&file) = files.get(next) {
        next += 1;
        let text = texts.of(file);
        for name in File::uses(&text) {
            let used =
                file.find(name).ok_or_else(|| format!("{} uses {name}, which is no file", file.name()))?;
            add(&mut files, used);
        }
        module.parts.push((file.name().to_owned(), module.source.len()));
        module.source.push_str(&text);
        module.source.push('\n');
    }
    module.parts.push(("launch".to_owned(), module.source.len()));
    for (name, value) in declared {
        let _ = match value {
            Declared::Number(value) => writeln!(module.source, "const {name} = {value}u;"),
            Declared::Type(value) => writeln!(module.source, "alias {name} = {value};"),
        };
    }
    Ok(module)
}

fn add<'a>(files: &mut Vec<&'a File>, file: &'a File) {
    if !files.iter().any(|known| known.id() == file.id()) {
        files.push(file);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use wgrad_shaders::{self as shaders, Kernel};

    use super::*;

    #[test]
    fn each_file_comes_once_and_with_what_it_uses() {
        let kernel =
            Kernel::new(&shaders::WINOGRAD_OUTPUT, "winograd_output").with(&shaders::WINOGRAD_STORE_POOLED);
        let module =
            compose(&kernel, &[("N", Declared::Number(7)), ("T", Declared::Type("f32"))], &Texts::default())
                .unwrap();
        for line in
            ["fn pool(", "fn relu_if(", "fn divide(", "fn place(", "fn thread_index(", "const N = 7u;"]
        {
            assert_eq!(module.source.matches(line).count(), 1, "{line}");
        }
        assert!(module.source.ends_with("alias T = f32;\n"));
        assert_eq!(module.files()[0], "products/software/winograd/winograd_output");
        assert!(!module.source.contains("enable"));
    }

    #[test]
    fn places_are_those_of_the_files() {
        let (own, other) = (File::new("own", "one\ntwo three"), File::new("other", "four"));
        let kernel = Kernel::new(&own, "main").with(&other);
        let module = compose(&kernel, &[("T", Declared::Type("f16"))], &Texts::default()).unwrap();
        assert!(module.source.starts_with("enable f16; one\n"));
        let place = |word: &str| module.place(module.source.find(word).unwrap());
        assert_eq!(["one", "three", "four"].map(place), ["own:1:1", "own:2:5", "other:1:1"]);
        assert_eq!(place("alias"), "launch:1:1");
    }

    #[test]
    fn what_cannot_be_composed_is_said() {
        let file = File::new("own", "// Uses: nothing_such.\n");
        let error = compose(&Kernel::new(&file, "main"), &[], &Texts::default()).err().unwrap();
        assert!(error.contains("nothing_such"), "{error}");
        let many =
            (0..=MAX_CHOICES).fold(Kernel::new(&file, "main"), |kernel, _| kernel.with(&shaders::INDEX));
        assert!(compose(&many, &[], &Texts::default()).err().unwrap().contains("7 files"));
    }
}
