//! Declares the window's commands, so that each needs a permission of its own: the list is read
//! from the capability file, and a test compares it with the commands of `quartet-api`.

fn main() {
    let capability =
        std::fs::read_to_string("src-tauri/capabilities/main.json").expect("the capability file");
    let capability: serde_json::Value = serde_json::from_str(&capability).expect("JSON");
    let commands: Vec<&'static str> = capability["permissions"]
        .as_array()
        .expect("a list of permissions")
        .iter()
        .filter_map(|permission| permission.as_str()?.strip_prefix("allow-"))
        .map(|name| &*name.replace('-', "_").leak())
        .collect();
    let manifest = tauri_build::AppManifest::new().commands(commands.leak());
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern("src-tauri/capabilities/*.json")
        .app_manifest(manifest);
    tauri_build::try_build(attributes).expect("the window's configuration");
}
