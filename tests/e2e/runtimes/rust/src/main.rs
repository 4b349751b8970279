//! An app that knows nothing of the gateway: reqwest, as its users call it.

use std::io::{self, BufRead, BufReader, Read};

/// Makes one call; a stream is read line by line, as it comes.
fn call(client: &reqwest::blocking::Client, job: &[&str]) -> Result<(u16, Vec<u8>), Box<dyn std::error::Error>> {
    let base = std::env::var(job[2]).unwrap_or_else(|_| job[3].to_string());
    let mut request = client.post(format!("{}{}", base, job[4])).body(job[6].to_string());
    for header in job[5].split('|') {
        let (name, value) = header.split_once(": ").ok_or("a header without a colon")?;
        request = request.header(name, value);
    }
    let mut answer = request.send()?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    if job[10] == "1" {
        for line in BufReader::new(answer).lines() {
            body.extend_from_slice(line?.as_bytes());
            body.push(b'\n');
        }
    } else {
        answer.read_to_end(&mut body)?;
    }
    Ok((status, body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = reqwest::blocking::Client::new();
    for line in io::stdin().lines() {
        let line = line?;
        let job: Vec<&str> = line.split('\t').collect();
        match call(&client, &job) {
            Ok((status, body)) => println!(r#"{{"id":"{}","status":{},"body":"{}"}}"#, job[0], status, hex(&body)),
            Err(error) => println!(r#"{{"id":"{}","error":"{}"}}"#, job[0], hex(format!("{error:?}").as_bytes())),
        }
    }
    Ok(())
}
