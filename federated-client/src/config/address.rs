use std::{fmt, str::FromStr};

use federated_core::config::ConfigError;
use tonic::transport::Uri;

/// Where the coordinator is reached: `https://HOST:PORT`. There is no plain-text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorAddress {
    host: String,
    port: u16,
}

impl CoordinatorAddress {
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

impl FromStr for CoordinatorAddress {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let invalid = || {
            let found: String = text.chars().take(120).collect();
            let hint = "such as \"https://coordinator.example:8443\"";
            ConfigError::value("coordinator", "`https://HOST:PORT`", format!("\"{found}\""), hint)
        };
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let plain = uri.scheme_str() == Some("https")
            && uri.path_and_query().is_none_or(|path| path == "/")
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        match (uri.host(), uri.port_u16()) {
            (Some(host), Some(port)) if plain && !host.is_empty() => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self { host, port })
            }
            _ => Err(invalid()),
        }
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
        let address: CoordinatorAddress = "https://coordinator.example:8443".parse().unwrap();
        assert_eq!((address.host(), address.port()), ("coordinator.example", 8443));
        let address: CoordinatorAddress = "https://[::1]:8443/".parse().unwrap();
        assert_eq!(address.host(), "::1");
        assert_eq!(address.to_string(), "https://[::1]:8443");
        for bad in ["http://a:1", "https://a", "a:1", "https://a:1/x", "https://b@a:1", "https://:1"] {
            assert!(bad.parse::<CoordinatorAddress>().is_err(), "{bad} was accepted");
        }
    }
}
