//! Runs the example `embedded` as its reader would, and asks the services over HTTP.

mod running;

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(url: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').ok_or("a URL without a path")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no HTTP response")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(serde_json::from_str(body)?)
}

#[test]
fn two_services_train_one_model_and_show_it() -> Result<(), Box<dyn Error>> {
    let mut running = Running(Command::new(running::example("embedded")?).stdout(Stdio::piped()).spawn()?);
    let mut urls = Vec::new();
    for line in BufReader::new(running.0.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        if let Some((_, url)) = line.split_once(": http") {
            urls.push(format!("http{url}"));
        }
        if line.starts_with("length-of-stay has ended") {
            break;
        }
    }
    let [north, south] = urls.as_slice() else {
        return Err(format!("expected two services, found {urls:?}").into());
    };
    let (north, south) = (get(north)?, get(south)?);
    assert_eq!(north["tasks_done"], 3);
    assert_eq!(north["model"], south["model"], "both have the federation's model");
    let weight = north["model"][0].as_f64().ok_or("no weight")?;
    assert!((weight - 1.0).abs() < 0.2, "a day for each decade of age, roughly: {weight}");
    Ok(())
}

#[test]
fn an_application_takes_part_with_at_most_40_lines() {
    let code = include_str!("../embedded/participant.rs").lines().map(str::trim);
    let written = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    // The imports only name what is used.
    let lines = written.skip_while(|line| !line.starts_with("struct")).count();
    assert!((10..=40).contains(&lines), "{lines} lines");
}
