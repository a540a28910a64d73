//! Tells Tauri where the capabilities are, since the app's `Cargo.toml` lies one folder above `src-tauri`.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src-tauri/capabilities");
    println!("cargo::rerun-if-changed=src-tauri/permissions");
    // The built pages are part of the binary, so new pages mean a new binary.
    println!("cargo::rerun-if-changed=ui/dist");
    if !Path::new("ui/dist").exists() {
        println!(
            "cargo::warning=ui/dist is missing: `cargo xtask demo` builds it, or `npm run build` in ui/"
        );
    }
    // Which window may ask which of the app's own commands.
    let commands = tauri_build::AppManifest::new().permissions_path_pattern("src-tauri/permissions/*.toml");
    let attributes = tauri_build::Attributes::new()
        .app_manifest(commands)
        .capabilities_path_pattern("src-tauri/capabilities/*.json");
    tauri_build::try_build(attributes)?;
    Ok(())
}
