use super::*;
use std::net::TcpListener;
use std::thread;

const CONTENT: &[u8] = b"what was asked for";

fn listen() -> (TcpListener, &'static str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    (listener, url.leak())
}

/// Answers one request; returns what was asked.
fn answer(listener: TcpListener, head: String, body: &'static [u8]) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    })
}

fn ok(len: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n")
}

struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("cache/file")
    }

    fn part(&self) -> PathBuf {
        self.0.path().join("cache/file.part")
    }

    fn start_with(&self, bytes: &[u8]) {
        fs::create_dir_all(self.0.path().join("cache")).unwrap();
        fs::write(self.part(), bytes).unwrap();
    }
}

fn wanted(url: &'static str) -> Download {
    let sha256 = "6c80a7d0a31d8b751ac8f225665b7360e7e16d65c1181ab817fd222c1cbe859c";
    Download { url, sha256, bytes: CONTENT.len() as u64 }
}

#[test]
fn a_file_is_fetched_and_recognised() {
    let (listener, url) = listen();
    let server = answer(listener, ok(CONTENT.len()), CONTENT);
    let cache = Cache::new();
    assert!(!wanted(url).is_at(&cache.file()));
    let mut seen = 0;
    wanted(url).fetch(&cache.file(), &mut |have| seen = have).unwrap();
    assert!(wanted(url).is_at(&cache.file()) && !cache.part().exists());
    assert_eq!(seen, CONTENT.len() as u64);
    assert!(!server.join().unwrap().contains("range:"));
}

#[test]
fn a_broken_transfer_is_continued() {
    let (listener, url) = listen();
    let server = answer(listener, ok(CONTENT.len()), &CONTENT[..5]);
    let cache = Cache::new();
    let error = wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DownloadError::Broken { have: 5, .. }), "{error}");
    server.join().unwrap();

    let (listener, url) = listen();
    let head = "HTTP/1.1 206 Partial Content\r\nContent-Length: 13\r\nContent-Range: bytes 5-17/18\r\n\
                Connection: close\r\n\r\n";
    let server = answer(listener, head.into(), &CONTENT[5..]);
    wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap();
    assert!(server.join().unwrap().contains("range: bytes=5-"));
    assert!(wanted(url).is_at(&cache.file()));
}

#[test]
fn a_server_that_cannot_continue_sends_everything() {
    let (listener, url) = listen();
    let server = answer(listener, ok(CONTENT.len()), CONTENT);
    let cache = Cache::new();
    cache.start_with(b"old");
    wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap();
    server.join().unwrap();
    assert!(wanted(url).is_at(&cache.file()));
}

#[test]
fn another_file_is_refused_and_deleted() {
    for body in [&b"what was asked fof"[..], b"what was asked for and more"] {
        let (listener, url) = listen();
        let server = answer(listener, ok(body.len()), body);
        let cache = Cache::new();
        let error = wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, DownloadError::Content { .. }), "{error}");
        assert!(!cache.file().exists() && !cache.part().exists());
        server.join().unwrap();
    }
}

#[test]
fn no_server_is_an_error_that_names_the_address() {
    let (listener, url) = listen();
    drop(listener);
    let error = wanted(url).fetch(&Cache::new().file(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains(url), "{error}");
}

/// Sends a head and then, at intervals, one byte after the other, as far as they go; and then nothing.
fn trickle(listener: TcpListener, body: &'static [u8], interval: Duration) {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(ok(CONTENT.len()).as_bytes()).unwrap();
        for byte in body {
            thread::sleep(interval);
            // The other side may have given up.
            let _ = stream.write_all(&[*byte]);
        }
        thread::sleep(Duration::from_secs(60));
    });
}

#[test]
fn a_server_that_falls_silent_is_waited_for_no_longer() {
    for (body, interval) in [(&CONTENT[..5], 0), (CONTENT, 100), (b"", 0)] {
        let (listener, url) = listen();
        trickle(listener, body, Duration::from_millis(interval));
        let cache = Cache::new();
        let begun = Instant::now();
        let error = wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, DownloadError::Broken { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(cache.part().exists(), "what has arrived is kept");
    }
    // One that accepts and says nothing at all.
    let (listener, url) = listen();
    let begun = Instant::now();
    let error = wanted(url).fetch(&Cache::new().file(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DownloadError::Network { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(listener);
}

#[test]
fn of_four_downloads_at_once_one_is_made() {
    let (listener, url) = listen();
    // It answers one request, and then there is no server.
    let server = answer(listener, ok(CONTENT.len()), CONTENT);
    let cache = Cache::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| wanted(url).fetch(&cache.file(), &mut |_| {}).unwrap());
        }
    });
    server.join().unwrap();
    assert!(wanted(url).is_at(&cache.file()));
}
