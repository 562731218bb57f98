//! Peers that do not speak the protocol, or speak it very slowly.

use std::{net::SocketAddr, time::Duration};

use federated_proto::v1::{self, submit_update_request::Part};
use federated_tests::{ClientTls, Federation, Job, Site, Update, model, reason, within};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

const GIBIBYTE: u64 = 1 << 30;

/// Writes up to a gibibyte of `pattern`, and says how much was taken before the other side closed.
async fn flood(stream: impl AsyncRead + AsyncWrite, pattern: &[u8]) -> u64 {
    let block: Vec<u8> = pattern.iter().copied().cycle().take(1 << 16).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        let mut taken = 0;
        while taken < GIBIBYTE {
            match write.write(&block).await {
                Ok(written) => taken += written as u64,
                Err(_) => break,
            }
        }
        taken
    };
    // What comes back (an alert, a goodbye) is read, so that it does not stand in the way.
    let reading = async {
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
    };
    let both = async { tokio::join!(writing, reading).0 };
    within("the coordinator to close", both).await
}

/// A job runs as if nobody had bothered the coordinator.
async fn works(federation: &Federation) {
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    for site in &mut sites {
        site.contribute(2.0, 1).await;
    }
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

async fn plain(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

#[tokio::test]
async fn a_gibibyte_of_garbage_on_the_port_is_cut_off_at_once() {
    let federation = Federation::start().await;
    // No TLS at all; a record that is too long; a greeting that announces 16 MiB; plain HTTP/2.
    let greeting = [&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 16_375]].concat();
    let patterns: [&[u8]; 4] =
        [&[0xa5], &[0x16, 3, 1, 0xff, 0xff, 1], &greeting, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for pattern in patterns {
        let taken = flood(plain(federation.address()).await, pattern).await;
        // What the system buffers is taken whoever reads: some megabytes on loopback.
        assert!(taken < GIBIBYTE / 8, "{taken} bytes of {:?} were taken", &pattern[..6.min(pattern.len())]);
    }
    works(&federation).await;
}

#[tokio::test]
async fn garbage_from_an_enrolled_participant_is_cut_off_too() {
    let federation = Federation::start().await;
    let tls = ClientTls::from_bundle(&federation.enroll("c"));
    let stream = tls.connect(federation.address()).await.unwrap();
    let taken = flood(stream, &[0xa5]).await;
    assert!(taken < GIBIBYTE / 8, "{taken} bytes were taken");
    works(&federation).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_the_connection_goes_on() {
    let federation = Federation::start().await;
    let mut raw = federation.participant("c").await;
    let software = "x".repeat(9 << 20);
    let request = v1::NegotiateRequest { minor_min: 0, minor_max: 0, software };
    let status = raw.client().negotiate(request).await.expect_err("too large");
    assert_eq!(reason(&status), "", "{status:?}");
    assert!(status.message().contains("message length too large"), "{status:?}");

    let chunk = v1::Chunk { offset: 0, data: vec![0; 9 << 20].into() };
    let part = Some(Part::Chunk(chunk));
    let status = raw.send(vec![v1::SubmitUpdateRequest { part }]).await.expect_err("too large");
    assert!(status.message().contains("message length"), "{status:?}");
    raw.negotiate(0, 0).await.expect("the connection goes on");
    works(&federation).await;
}

#[tokio::test]
async fn a_client_that_crawls_through_the_handshake_does_not_hold_a_place() {
    let federation = Federation::start_with(|limits| {
        limits.handshake = Duration::from_secs(1);
        // The operator, two sites, and the crawlers take all there is.
        limits.max_connections = 4.try_into().unwrap();
    })
    .await;
    let crawlers = [crawl(federation.address()), crawl(federation.address())].map(tokio::spawn);
    let silent = plain(federation.address()).await;
    works(&federation).await;
    for crawler in crawlers {
        let sent = within("a crawler to be cut off", crawler).await.unwrap();
        assert!(sent < 1_000, "{sent} bytes were taken one by one");
    }
    closes(silent).await;
}

/// Sends a proper greeting byte by byte, and says how many were sent when the other side closed.
async fn crawl(address: SocketAddr) -> usize {
    let (mut read, mut write) = plain(address).await.into_split();
    let mut closed = tokio::spawn(async move { read.read(&mut [0; 64]).await });
    // The head of a TLS record with a ClientHello of 512 bytes, and then its body.
    let greeting = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().chain(std::iter::repeat(0));
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for (sent, byte) in greeting.enumerate() {
        tokio::select! {
            _ = &mut closed => return sent,
            _ = pace.tick() => if write.write_all(&[byte]).await.is_err() { return sent },
        }
    }
    unreachable!("the greeting has no end")
}

async fn closes(mut stream: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    let _ = within("a silent connection to be closed", stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_participant_that_finishes_tls_and_then_says_nothing_does_not_hold_a_place() {
    let federation = Federation::start_with(|limits| limits.handshake = Duration::from_millis(300)).await;
    let tls = ClientTls::from_bundle(&federation.enroll("c"));
    closes(tls.connect(federation.address()).await.expect("TLS")).await;
    // Half of the preface is no greeting.
    let mut halting = tls.connect(federation.address()).await.expect("TLS");
    halting.write_all(b"PRI * HTTP/2").await.expect("a half");
    closes(halting).await;
    works(&federation).await;
}

#[tokio::test]
async fn calls_that_are_dropped_half_way_leave_nothing_behind() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let task = a.line.task().await;
    let update = Update::constant(&task, 2.0, 1);
    // More than the calls allowed at a time on one connection.
    for _ in 0..40 {
        let upload = a.raw.open_upload();
        assert!(upload.send(update.first()).await);
        upload.abandon().await;
    }
    a.raw.submit(&update).await.expect("a receipt");
    b.contribute(2.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}
