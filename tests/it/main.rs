//! The whole program, on real parts: store, engine, practice databases and simulators.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

/// Tells stories on the demo clinic's book and on OpenEMR's.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod on_the_demo_clinic {
            $(#[tokio::test]
            async fn $story() {
                super::$story(tests::System::Demo).await;
            })+
        }
        mod on_openemr_mariadb {
            $(#[tokio::test]
            async fn $story() {
                super::$story(tests::System::OpenEmr).await;
            })+
        }
    };
}

/// The same, and on a practice at Provet Cloud.
macro_rules! on_all {
    ($($story:ident),+ $(,)?) => {
        on_both!($($story),+);
        mod on_provet_cloud {
            $(#[tokio::test]
            async fn $story() {
                super::$story(tests::System::Provet).await;
            })+
        }
    };
}

mod availability;
mod bad_input;
mod bookings;
mod changes;
mod cli;
mod documents;
mod engine;
mod enrolments;
mod exactly_once;
mod golive_on_mariadb;
#[cfg(unix)]
mod killed;
mod openemr_on_mariadb;
mod practice_people;
mod profiles;
mod provet;
mod record_links;
mod tidy;
mod webhooks;
