use std::{fmt, net::Ipv6Addr, num::NonZeroU16, str::FromStr};

use super::ConfigError;

/// Longest DNS name, in bytes (RFC 1035, section 2.3.4, written with dots).
const MAX_HOST_BYTES: usize = 253;

/// Where a coordinator is reached: `https://HOST:PORT`. There is no plain-text form.
///
/// # Examples
/// ```
/// use federated_core::config::CoordinatorAddress;
///
/// let address: CoordinatorAddress = "https://coordinator.example:8443".parse()?;
/// assert_eq!(address.authority(), "coordinator.example:8443");
/// # Ok::<(), federated_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorAddress {
    host: String,
    port: u16,
}

impl CoordinatorAddress {
    /// The coordinator on this machine: `https://localhost:PORT`, with a port from 1 to 65535.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self { host: "localhost".to_owned(), port }
    }

    /// Parses the address that stands at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming `path`, for a text that is not `https://HOST:PORT`: another scheme, no port or
    /// port 0, user information, a path, or a host that is neither a DNS name nor an IP address.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        read(text).ok_or_else(|| {
            let hint = "such as \"https://coordinator.example:8443\"";
            ConfigError::text(path, "`https://HOST:PORT`", text, hint)
        })
    }

    /// The host, a DNS name or an IP address (an IPv6 address without brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT`, with brackets around an IPv6 address.
    #[must_use]
    pub fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

fn read(text: &str) -> Option<CoordinatorAddress> {
    let rest = text.strip_prefix("https://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
        None => is_name(host).then(|| host.to_owned())?,
    };
    // Rust would also read a port with a sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<NonZeroU16>().ok().filter(|_| digits)?.get();
    Some(CoordinatorAddress { host, port })
}

/// Whether a text can be a DNS name or an IPv4 address. What it stands for, only a resolver knows.
fn is_name(host: &str) -> bool {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    host.len() <= MAX_HOST_BYTES
        && host.starts_with(|first: char| first.is_ascii_alphanumeric())
        && host.bytes().all(sane)
}

impl FromStr for CoordinatorAddress {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse("address", text)
    }
}

impl fmt::Display for CoordinatorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_with_host_and_port() {
        let cases = [
            ("https://coordinator.example:8443", "coordinator.example", "https://coordinator.example:8443"),
            ("https://[::1]:8443/", "::1", "https://[::1]:8443"),
            ("https://[2001:DB8:0::1]:8443", "2001:db8::1", "https://[2001:db8::1]:8443"),
            ("https://10.0.0.1:8443/", "10.0.0.1", "https://10.0.0.1:8443"),
            ("https://site_a-1:8443", "site_a-1", "https://site_a-1:8443"),
        ];
        for (text, host, written) in cases {
            let address: CoordinatorAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, 8443));
            assert_eq!(address.to_string(), written);
            assert_eq!(written.parse::<CoordinatorAddress>().unwrap(), address);
        }
        assert_eq!(CoordinatorAddress::local(1), "https://localhost:1".parse().unwrap());
        assert_eq!("https://a:65535".parse::<CoordinatorAddress>().unwrap().port(), 65_535);
    }

    #[test]
    fn all_else_is_refused() {
        for bad in [
            "",
            "http://a:1",
            "https:a:1",
            "https://",
            "https://a",
            "https://a:",
            "a:1",
            "https://a:1/x",
            "https://a:1//",
            "https://a:1?x",
            "https://a:1#x",
            "https://b@a:1",
            "https://b:c@a:1",
            "https://:1",
            "https://.:1",
            "https://-a:1",
            "https://a:0",
            "https://a:+1",
            "https://a:99999",
            "https://a b:1",
            "https://a:1 ",
            "https://ä.example:1",
            "https://::1:1",
            "https://[::1]",
            "https://[::1:1",
            "https://::1]:1",
            "https://[a]:1",
            "https://[]:1",
            "https://[::1]a:1",
        ] {
            assert!(bad.parse::<CoordinatorAddress>().is_err(), "{bad} was accepted");
        }
        let long = format!("https://{}:1", "a".repeat(MAX_HOST_BYTES + 1));
        assert!(long.parse::<CoordinatorAddress>().is_err());
    }

    #[test]
    fn a_refusal_names_the_key_the_form_and_what_is_there() {
        let error = CoordinatorAddress::parse("operator.address", "http://a:1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "operator.address: expected `https://HOST:PORT`, found \"http://a:1\" \
             (such as \"https://coordinator.example:8443\")"
        );
    }
}
