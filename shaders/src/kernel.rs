//! WGSL files, and what a kernel is made of.

use std::sync::Arc;

/// Files that can be chosen for one kernel.
pub const MAX_CHOICES: usize = 6;

/// A WGSL file: a name and a text.
///
/// Those of this crate are statics; [`File::from_text`] takes text that is only known at run time.
#[derive(Clone, Debug)]
pub struct File {
    name: Text,
    text: Text,
}

#[derive(Clone, Debug)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl File {
    /// A file of this name, which errors and profiles show, and this text.
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name: Text::Static(name), text: Text::Static(text) }
    }

    /// The same for text that is made at run time. Keep the file and its clones for all launches: a file made anew is a new
    /// one, and is compiled anew.
    pub fn from_text(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: Text::Shared(name.into()), text: Text::Shared(text.into()) }
    }

    /// The name: of this crate's files, the path without `.wgsl`.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The folder, `elementwise/unary` of `elementwise/unary/relu`; empty if there is none.
    pub fn folder(&self) -> &str {
        self.name().rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name without its folder.
    pub fn stem(&self) -> &str {
        self.name().rsplit_once('/').map_or(self.name(), |(_, stem)| stem)
    }

    /// The WGSL text.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Which text this is: the same for a file and its clones, and for no other while one of these lives.
    pub fn id(&self) -> usize {
        self.text().as_ptr().addr()
    }

    /// The files that `text`, this file's, says it uses: words behind `Uses:` in a comment of its head.
    pub fn uses(text: &str) -> impl Iterator<Item = &str> {
        let head = text.trim_start().lines().take_while(|line| line.starts_with("//"));
        let lists = head.filter_map(|line| line.strip_prefix("// Uses: "));
        lists.flat_map(|list| list.trim_end_matches('.').split(',')).map(str::trim)
    }

    /// The file of this crate that this one means by `name`: a path, or without a folder a neighbour, or one in `lib/`.
    pub fn find(&self, name: &str) -> Option<&'static File> {
        let is = |file: &&&File| match name.contains('/') {
            true => file.name() == name,
            false => file.stem() == name && (file.folder() == self.folder() || file.folder() == "lib"),
        };
        crate::ALL.iter().find(is).copied()
    }

    /// The `@compute` functions of this file.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        let behind = self.text().split("@compute").skip(1);
        behind.filter_map(|rest| rest.split_once("fn ")?.1.split_once('(')).map(|(name, _)| name.trim())
    }
}

/// A kernel: a file with an entry point, and the files chosen for this variant of it, each of which brings what it uses.
///
/// ```
/// use wgrad_shaders::{self as shaders, Kernel};
///
/// let relu = Kernel::new(&shaders::UNARY_FORWARD, "unary_forward").with(&shaders::UNARY_RELU);
/// assert_eq!(relu.name(), "unary_forward+relu");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    file: &'a File,
    entry: &'a str,
    choices: [Option<&'a File>; MAX_CHOICES],
    count: usize,
}

impl<'a> Kernel<'a> {
    /// The `@compute` function `entry` of `file`.
    pub const fn new(file: &'a File, entry: &'a str) -> Self {
        Self { file, entry, choices: [None; MAX_CHOICES], count: 0 }
    }

    /// With a file that declares what the kernel's own file leaves open. A launch refuses more than [`MAX_CHOICES`].
    #[must_use]
    pub const fn with(mut self, choice: &'a File) -> Self {
        if self.count < MAX_CHOICES {
            self.choices[self.count] = Some(choice);
        }
        self.count += 1;
        self
    }

    /// The file that the entry point stands in.
    pub fn file(&self) -> &'a File {
        self.file
    }

    /// The `@compute` function.
    pub fn entry(&self) -> &'a str {
        self.entry
    }

    /// Files that were chosen, or more than [`MAX_CHOICES`].
    pub fn choice_count(&self) -> usize {
        self.count
    }

    /// The file that the entry point stands in, and those that were chosen.
    pub fn files(&self) -> impl Iterator<Item = &'a File> + use<'a> {
        std::iter::once(self.file).chain(self.choices.into_iter().map_while(|choice| choice))
    }

    /// What errors and profiles call it: the entry point, or the file's name if that is `main`, and the names of the files
    /// chosen.
    pub fn name(&self) -> String {
        let mut name = if self.entry == "main" { self.file.stem() } else { self.entry }.to_owned();
        for choice in self.choices.into_iter().flatten() {
            name.push('+');
            name.push_str(choice.stem());
        }
        name
    }
}

/// What was not launched of the files in some folders and in the folders below them: files that are in no kernel, and entry
/// points. `launched` gives the files of each kernel that was, and its entry point. A test's way to find forgotten kernels.
pub fn unlaunched<'a>(
    folders: &[&str],
    launched: impl Iterator<Item = (&'a [String], &'a str)>,
) -> Vec<String> {
    let launched: Vec<_> = launched.collect();
    let mut missing = Vec::new();
    let is_below = |file: &File, folder: &str| {
        file.name().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    for file in crate::ALL.iter().filter(|file| folders.iter().any(|folder| is_below(file, folder))) {
        if !launched.iter().any(|(files, _)| files.iter().any(|name| name == file.name())) {
            missing.push(file.name().to_owned());
            continue;
        }
        // An entry point belongs to the first file of its kernel.
        let runs = |entry: &str| {
            launched
                .iter()
                .any(|(files, run)| files.first().is_some_and(|f| f == file.name()) && *run == entry)
        };
        missing.extend(file.entries().filter(|entry| !runs(entry)).map(|e| format!("{}: {e}", file.name())));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_name_files_that_exist() {
        for file in crate::ALL {
            for name in File::uses(file.text()) {
                assert!(file.find(name).is_some(), "{} uses {name}, which is no file", file.name());
            }
        }
    }

    #[test]
    fn every_file_is_in_the_list() {
        fn wgsl(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("the folder can be read") {
                let path = entry.expect("and its entries").path();
                if path.is_dir() {
                    wgsl(&path, found);
                } else if path.extension().is_some_and(|end| end == "wgsl") {
                    found.push(path.with_extension("").to_string_lossy().replace('\\', "/"));
                }
            }
        }
        let root = env!("CARGO_MANIFEST_DIR");
        let mut found = Vec::new();
        wgsl(root.as_ref(), &mut found);
        let mut listed: Vec<_> = crate::ALL.iter().map(|file| format!("{root}/{}", file.name())).collect();
        found.sort();
        listed.sort();
        assert_eq!(found, listed);
    }

    #[test]
    fn what_a_head_says_is_read() {
        let text = "\n// A job.\n// Uses: index, images/window.\nstruct A {}\n// Uses: divide.\n";
        assert_eq!(File::uses(text).collect::<Vec<_>>(), ["index", "images/window"]);
        let file = File::new(
            "a/b",
            "@compute @workgroup_size(1)\nfn one() {}\n@compute\n@workgroup_size(1) fn two(\n) {}",
        );
        assert_eq!(file.entries().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!((file.folder(), file.stem()), ("a", "b"));
        assert!(file.find("index").is_some() && file.find("window").is_none());
    }

    #[test]
    fn what_was_not_launched_is_found() {
        let all = unlaunched(&["rows/lanes"], std::iter::empty());
        assert_eq!(all, ["rows/lanes/single", "rows/lanes/subgroup", "rows/lanes/workgroup"]);
        let files = ["reduce/reduce".to_owned()];
        let some = unlaunched(&["reduce"], std::iter::once((&files[..], "reduce_part")));
        assert!(some.contains(&"reduce/reduce: reduce_parts".to_owned()), "{some:?}");
        assert!(!some.contains(&"reduce/reduce: reduce_part".to_owned()), "{some:?}");
    }
}
