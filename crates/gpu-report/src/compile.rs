//! Compiling modules for each GPU: RADV reads its GPU from the environment once a process, so each gets a child.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::assembly::Counted;
use crate::launches::Launched;
use crate::vulkan::Compiler;
use crate::{Error, Result};

/// The GPUs compiled for: RDNA 2, GCN 5 and GCN 4.
const FAMILIES: [&str; 3] = ["navi21", "vega10", "polaris10"];

/// The list of modules, beside their files.
const INDEX: &str = "modules.json";

/// All modules for one GPU.
pub struct Family {
    /// Mesa's name of the GPU's family.
    pub name: &'static str,
    /// The driver's version.
    pub driver: String,
    /// One for each module, in their order.
    pub rows: Vec<Row>,
}

/// One module on one GPU.
pub struct Row {
    /// The module's name.
    pub name: String,
    /// The driver's statistics by name.
    pub statistics: BTreeMap<String, u64>,
    /// Invocations of a subgroup.
    pub subgroup_size: u64,
    /// Its instructions.
    pub counted: Counted,
}

impl Row {
    /// A statistic of the driver, 0 where it does not state it.
    pub fn statistic(&self, name: &str) -> u64 {
        self.statistics.get(name).copied().unwrap_or(0)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

fn protocol(message: impl std::fmt::Display) -> Error {
    Error::Radv { what: "a compiling child process".to_owned(), message: message.to_string() }
}

/// Compiles every module for every GPU. `folder` is left holding the modules and their assembly.
pub fn for_all_families(modules: &[Launched], folder: &Path) -> Result<Vec<Family>> {
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    for module in modules {
        let path = folder.join(format!("{}.wgsl", module.name));
        std::fs::write(&path, &module.source).map_err(io(&path))?;
    }
    let index: Vec<Value> =
        modules.iter().map(|m| json!({"name": m.name, "entry": m.entry, "work": m.work})).collect();
    let path = folder.join(INDEX);
    std::fs::write(&path, Value::from(index).to_string()).map_err(io(&path))?;
    FAMILIES.iter().map(|family| compile_for(family, folder)).collect()
}

/// RADV's file for the Vulkan loader.
fn driver_file() -> Result<PathBuf> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    // One file an architecture may be installed; this program is of the 64-bit one.
    files.sort_by_key(|file| file.to_string_lossy().contains("i686"));
    let is_radv = |file: &PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd"))
    };
    files.into_iter().find(is_radv).ok_or_else(|| Error::Radv {
        what: "RADV".to_owned(),
        message: "no radeon_icd*.json among the Vulkan drivers".to_owned(),
    })
}

fn compile_for(family: &'static str, folder: &Path) -> Result<Family> {
    let program = std::env::current_exe().map_err(io(Path::new("gpu-report")))?;
    let driver = driver_file()?;
    let output = Command::new(&program)
        .arg("--compile")
        .arg(folder)
        .env("RADV_FORCE_FAMILY", family)
        // The first name is the current one, the second that of older loaders.
        .env("VK_DRIVER_FILES", &driver)
        .env("VK_ICD_FILENAMES", &driver)
        // A cached pipeline has no assembly.
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .output()
        .map_err(io(&program))?;
    if !output.status.success() {
        return Err(protocol(format!("{family}: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(protocol)?;
    let rows = answer["modules"].as_array().ok_or_else(|| protocol("no modules"))?;
    let rows = rows.iter().map(|module| row(module, family, folder)).collect::<Result<_>>()?;
    let driver = answer["driver"].as_str().unwrap_or_default().to_owned();
    Ok(Family { name: family, driver, rows })
}

fn row(module: &Value, family: &str, folder: &Path) -> Result<Row> {
    let name = module["name"].as_str().unwrap_or_default().to_owned();
    let assembly = module["assembly"].as_str().unwrap_or_default();
    if assembly.is_empty() {
        return Err(protocol(format!("{family}: no assembly of {name}")));
    }
    let path = folder.join(format!("{name}.{family}.s"));
    std::fs::write(&path, assembly).map_err(io(&path))?;
    let statistics = module["statistics"].as_object().into_iter().flatten();
    let statistics = statistics.filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect();
    let subgroup_size = module["subgroup_size"].as_u64().unwrap_or(0);
    Ok(Row { name, statistics, subgroup_size, counted: Counted::new(assembly) })
}

/// What a child does: compiles the folder's modules for the GPU that its environment names, and prints the results.
pub fn child(folder: &Path) -> Result<()> {
    let path = folder.join(INDEX);
    let index = std::fs::read_to_string(&path).map_err(io(&path))?;
    let index: Vec<Value> = serde_json::from_str(&index).map_err(protocol)?;
    let compiler = Compiler::open(None)?;
    let mut modules = Vec::new();
    for module in &index {
        let (name, entry) =
            (module["name"].as_str().unwrap_or_default(), module["entry"].as_str().unwrap_or_default());
        let path = folder.join(format!("{name}.wgsl"));
        let source = std::fs::read_to_string(&path).map_err(io(&path))?;
        let compiled = compiler.compile(&source, entry)?;
        modules.push(json!({
            "name": name,
            "statistics": compiled.statistics,
            "subgroup_size": compiled.subgroup_size,
            "assembly": compiled.assembly,
        }));
    }
    println!("{}", json!({"driver": compiler.driver, "modules": modules}));
    Ok(())
}
