//! What may be typed: the rules that the linking screen and the provisioning file share.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use url::{Host, Url};

/// `https://`, or `http://` on this computer; nothing secret in it; no slash at the end. Says what is wrong otherwise.
pub fn web_address(text: &str) -> Result<String, &'static str> {
    const NO_ADDRESS: &str = "this is not a web address; it begins with https://";
    let text = text.trim();
    let url = Url::parse(text).map_err(|_| NO_ADDRESS)?;
    let on_this_computer = match url.host() {
        None => return Err(NO_ADDRESS),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password stands in the address: take it out");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the address ends before any ? or #: take the rest out");
    }
    match url.scheme() {
        "https" => {}
        "http" if on_this_computer => {}
        "http" => return Err("http:// is accepted for this computer only (127.0.0.1): write https://"),
        _ => return Err(NO_ADDRESS),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An address and a port to listen on.
pub fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr =
        text.trim().parse().map_err(|_| "an address to listen on has the form 127.0.0.1:8765")?;
    if address.port() == 0 {
        return Err("the port is missing: write one between 1024 and 65535 behind the colon");
    }
    Ok(address)
}

/// An address from which webhooks come.
pub fn source_address(text: &str) -> Result<IpAddr, &'static str> {
    text.trim().parse().map_err(|_| "a source is an address such as 13.55.48.1")
}

/// Whether it may stand in the `User-Agent` as an e-mail address.
pub fn is_email(text: &str) -> bool {
    let plausible = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '(' | ')');
    let sides = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    sides && text.chars().all(plausible)
}

/// The name of a site of a practice system, as its addresses hold it.
pub fn site(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(is_plain) {
        return Err(
            "a site's name holds letters, digits, \"-\" and \".\", as in its addresses; usually it is \"default\"",
        );
    }
    Ok(text.to_owned())
}

/// A folder for documents, as a whole path. Whether it is there is another question: its drive may be away.
pub fn document_folder(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let network = text.starts_with(r"\\");
    if text.is_empty() || text.chars().any(char::is_control) || !(network || Path::new(text).is_absolute()) {
        return Err("give the folder's whole path");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_addresses_or_this_computer() {
        assert_eq!(web_address(" https://he.example.com/v1/ "), Ok("https://he.example.com/v1".to_owned()));
        for good in ["http://127.0.0.1:8080/v1", "http://localhost", "http://[::1]:80/v1"] {
            assert_eq!(web_address(good), Ok(good.to_owned()));
        }
        let bad = [
            "http://he.example.com",
            "http://127.0.0.1.example.com",
            "ftp://he.example.com",
            "he",
            "https://",
        ];
        for bad in bad.into_iter().chain(["https://me:pw@he.example.com", "https://he.example.com/?a=1"]) {
            assert!(web_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_is_a_whole_path() {
        assert_eq!(document_folder(r" \\server\share "), Ok(r"\\server\share".to_owned()));
        let here = std::env::temp_dir().display().to_string();
        assert_eq!(document_folder(&here), Ok(here.clone()));
        for bad in ["", "  ", "import", "./x", "/a\nb"] {
            assert!(document_folder(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_site_cannot_lead_elsewhere() {
        assert_eq!(site(" default "), Ok("default".to_owned()));
        assert!(["", "..", "a/b", "a b", "a?b"].iter().all(|bad| site(bad).is_err()));
    }

    #[test]
    fn addresses_to_listen_on_and_to_hear_from_are_numbers() {
        for good in ["127.0.0.1:8765", " [::1]:8765 ", "0.0.0.0:80"] {
            assert!(listen_address(good).is_ok(), "{good}");
        }
        for bad in ["", "8765", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "localhost:8765"] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
        assert!(source_address(" 13.55.48.1").is_ok() && source_address("2001:db8::7").is_ok());
        assert!(source_address("13.55.48.0/24").is_err() && source_address("").is_err());
    }

    #[test]
    fn an_email_address_has_two_sides_and_no_brackets() {
        assert!(is_email("it@example.com.au"));
        for bad in
            ["", "it", "@example.com", "it@", "it @example.com", "it@example.com (IT)", "ít@example.com"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
