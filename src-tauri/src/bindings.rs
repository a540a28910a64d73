//! The commands and events that the window may use, and the TypeScript made from them.

use crate::{commands, view};
use tauri_specta::{Builder, collect_commands, collect_events};

/// Everything the window may ask and hear.
pub fn builder() -> Builder<tauri::Wry> {
    Builder::<tauri::Wry>::new()
        // One TypeScript type for each of ours, the same for what goes in and what comes out.
        .disable_serde_phases()
        .commands(collect_commands![
            commands::current_view,
            commands::find_bookings,
            commands::booking_history,
            commands::day_book,
            commands::slot_story,
            commands::open_document,
            commands::decide_booking,
            commands::free_times,
            commands::set_practice_enabled,
            commands::set_all_enabled,
            commands::resync,
            commands::decide_shrunk_list,
            commands::acknowledge_notice,
            commands::test_practice_system,
            commands::sign_in_to_system,
            commands::cancel_sign_in,
            commands::read_registration,
            commands::hookup_address,
            commands::accept_registration,
            commands::refuse_registration,
            commands::test_healthengine,
            commands::link_practice,
            commands::update_practice,
            commands::unlink_practice,
            commands::change_settings,
            commands::open_logs_folder,
            commands::webhook_address,
            commands::export_logs,
            commands::accounts::test_account,
            commands::accounts::save_account,
            commands::accounts::unlink_account,
            commands::accounts::connect_device,
            commands::joined::join_candidates,
            commands::joined::join_others,
            commands::joined::decide_joined,
            commands::joined::open_at_partner,
            commands::joined::former_names,
            commands::joined::carry_over_former_names,
            commands::people::find_patients,
            commands::people::patient_card,
            commands::people::patient_links,
            commands::people::today,
            commands::people::give_consent,
            commands::people::withdraw_consent,
            commands::people::link_patients,
            commands::people::open_in_vald,
            commands::people::test_vald,
            commands::people::check_landing,
            commands::people::remove_former_links,
            commands::people::export_audit,
            commands::people::close_quick_open,
            commands::open_link,
        ])
        .events(collect_events![view::ViewChanged])
}

#[cfg(test)]
mod tests {
    use super::builder;
    use specta_typescript::Typescript;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/src/backend/bindings.ts");

    /// The committed file is what the code makes. `cargo xtask bindings` writes it anew.
    #[test]
    fn bindings_are_fresh() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = folder.path().join("bindings.ts");
        builder().export(Typescript::default(), &made).expect("exports");
        let made = std::fs::read_to_string(made).expect("reads");
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            std::fs::write(PATH, &made).expect("writes");
        }
        let committed = std::fs::read_to_string(PATH).expect("the bindings are committed");
        assert!(committed == made, "ui/src/backend/bindings.ts is stale: run `cargo xtask bindings`");
    }
}
