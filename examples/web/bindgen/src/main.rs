//! Turns a wasm file into the module that a page imports: bindgen FILE.wasm FOLDER.

use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, folder] = &arguments[..] else {
        eprintln!("usage: bindgen FILE.wasm FOLDER");
        std::process::exit(2);
    };
    let mut bindgen = Bindgen::new();
    // Without this the module does not look for the wasm file beside itself.
    let bindgen = bindgen.input_path(input).omit_default_module_path(false).typescript(false);
    let bindgen = bindgen.remove_name_section(true).remove_producers_section(true);
    let made = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    if let Err(error) = made {
        eprintln!("bindgen: {error:?}");
        std::process::exit(1);
    }
}
