//! TensorBoard's event files, restricted to scalars.
//!
//! A file is a sequence of records (tensorflow/core/lib/io/record_writer.cc). A record is the
//! length of its content as u64, the masked CRC-32C of these eight bytes, the content, and the
//! masked CRC-32C of the content; all numbers are little-endian. The content is an `Event`
//! (tensorflow/core/util/event.proto).

use crate::write_atomically;
use prost::Message;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

/// The part of a file name that for other programs is the name of the machine.
const OURS: &str = ".rnn-gpu.";

/// The text of the first event of every file.
const VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Removes points from the event files in `folder` that [`EventWriter::create`] made, so that a
/// training that is resumed can write them again.
///
/// `keep` is called with the tag and the step of each point; a point is removed if `keep` returns
/// false. A negative step counts as 0. The first damaged record of a file and everything after it
/// are removed too. Files of other programs are left alone, and a `folder` that does not exist is
/// no error.
///
/// # Errors
/// Fails if the folder or a file cannot be read, or a file cannot be replaced.
pub fn keep_only(folder: &Path, keep: impl Fn(&str, u64) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // A link is not one of ours, and a pipe would be waited for.
        if !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with("events.out.tfevents.") && name.contains(OURS)) {
            continue;
        }
        let before = fs::read(&path)?;
        let mut after = Vec::new();
        for content in contents(&before) {
            let Ok(mut event) = Event::decode(content) else { break };
            let step = u64::try_from(event.step).unwrap_or_default();
            let Some(summary) = &mut event.summary else {
                after.extend(record(content));
                continue;
            };
            summary.value.retain(|value| keep(&value.tag, step));
            if !summary.value.is_empty() {
                after.extend(record(&event.encode_to_vec()));
            }
        }
        if after != before {
            write_atomically(&path, |file| file.write_all(&after)).map_err(|error| error.source)?;
        }
    }
    Ok(())
}

/// The contents of the records, up to the first that is damaged or not whole.
fn contents(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((content, rest)) = first_content(bytes) {
        all.push(content);
        bytes = rest;
    }
    all
}

/// The content of the first record, and what follows it.
fn first_content(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (crc, rest) = rest.split_at_checked(4)?;
    if crc != masked_crc(length).to_le_bytes() {
        return None;
    }
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (content, rest) = rest.split_at_checked(length)?;
    let (crc, rest) = rest.split_at_checked(4)?;
    (crc == masked_crc(content).to_le_bytes()).then_some((content, rest))
}

/// A writer of TensorBoard events to a file, or to any other writer. Where a record cannot be written
/// whole, as on a full disk, the next one takes its place, so that all are read that there was room
/// for.
#[derive(Debug)]
pub struct EventWriter<W> {
    writer: W,
    /// The end of the last whole record.
    end: u64,
}

impl EventWriter<File> {
    /// Creates a new event file in `folder`, which is created if it does not exist. TensorBoard can
    /// read the file while it grows.
    ///
    /// # Errors
    /// Fails if the folder or the file cannot be created, or the file cannot be written.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let (seconds, process) = (now() as u64, std::process::id());
        // The board sorts files by time and reads every one that has `tfevents` in its name.
        let mut version = 0;
        loop {
            let name = format!("events.out.tfevents.{seconds}{OURS}{process}.{version}");
            match File::create_new(folder.join(name)) {
                Ok(file) => return Self::new(file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => version += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl<W: Write + Seek> EventWriter<W> {
    /// Begins a sequence of events in `writer`, with the event that names the format.
    ///
    /// # Errors
    /// Fails if `writer` fails.
    pub fn new(writer: W) -> io::Result<Self> {
        let mut events = Self { writer, end: 0 };
        events.event(0, Some(VERSION.into()), None)?;
        Ok(events)
    }

    /// Writes one point of each of several curves at step `step`, with the current time, and
    /// flushes the writer. `values` holds the tag of each curve and its value, which is stored in
    /// single precision and may be NaN or infinite.
    ///
    /// # Errors
    /// Fails if the writer fails.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        let value = |&(tag, value): &(&str, f64)| Value {
            tag: tag.into(),
            simple_value: Some(value as f32),
        };
        let summary = Summary { value: values.iter().map(value).collect() };
        self.event(step as i64, None, Some(summary))
    }

    fn event(
        &mut self,
        step: i64,
        file_version: Option<String>,
        summary: Option<Summary>,
    ) -> io::Result<()> {
        let event = Event { wall_time: now(), step, file_version, summary };
        let record = record(&event.encode_to_vec());
        self.writer.seek(SeekFrom::Start(self.end))?;
        self.writer.write_all(&record)?;
        self.writer.flush()?;
        self.end += record.len() as u64;
        Ok(())
    }
}

fn now() -> f64 {
    // A clock before 1970 is no reason not to train.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(content);
    record.extend(masked_crc(content).to_le_bytes());
    record
}

/// Masked, because a CRC of bytes that hold CRCs is a poor one (tensorflow/core/lib/hash/crc32c.h).
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(&[0; 32]), 0x8a91_36aau32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut events = EventWriter::new(Cursor::new(Vec::new())).unwrap();
        events.scalars(7, &[("epoch_loss", 0.25), ("epoch_accuracy", f64::NAN)]).unwrap();
        let bytes = events.writer.into_inner();
        let events: Vec<Event> =
            contents(&bytes).into_iter().map(|content| Event::decode(content).unwrap()).collect();
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        let summary = events[1].summary.as_ref().unwrap();
        assert_eq!((events[1].step, summary.value[0].tag.as_str()), (7, "epoch_loss"));
        assert_eq!(summary.value[0].simple_value, Some(0.25));
        assert!(summary.value[1].simple_value.unwrap().is_nan());
    }

    /// A disk with room for so many bytes.
    struct Disk(Cursor<Vec<u8>>, u64);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.position()) as usize;
            match self.0.write(&bytes[..bytes.len().min(room)])? {
                0 => Err(io::ErrorKind::StorageFull.into()),
                written => Ok(written),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn what_a_full_disk_had_no_room_for_is_no_damage() {
        let mut events = EventWriter::new(Disk(Cursor::new(Vec::new()), 300)).unwrap();
        let mut written = vec![];
        for step in 0..9 {
            // Room is made again later.
            events.writer.1 += if step == 6 { 1000 } else { 0 };
            if events.scalars(step, &[("epoch_loss", 0.25)]).is_ok() {
                written.push(step as i64);
            }
        }
        assert!(written.len() > 4 && written.len() < 9 && written.ends_with(&[6, 7, 8]));
        let bytes = events.writer.0.into_inner();
        let steps = contents(&bytes).into_iter().skip(1);
        let steps = steps.map(|content| Event::decode(content).unwrap().step);
        assert_eq!(steps.collect::<Vec<_>>(), written);
    }

    #[test]
    fn what_is_written_anew_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventWriter::create(folder.path()).unwrap();
        for step in 0..5 {
            events.scalars(step, &[("batch_loss", 0.5), ("epoch_loss", 0.25)]).unwrap();
        }
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        // A process that was killed leaves a part of a record.
        let mut bytes = fs::read(&file).unwrap();
        bytes.extend([7; 9]);
        fs::write(&file, bytes).unwrap();
        let foreign = folder.path().join("events.out.tfevents.1.host");
        fs::write(&foreign, "of another program").unwrap();
        keep_only(folder.path(), |tag, step| step < if tag == "batch_loss" { 3 } else { 1 })
            .unwrap();
        let bytes = fs::read(&file).unwrap();
        let events = contents(&bytes).into_iter().map(|content| Event::decode(content).unwrap());
        let tags = |event: Event| {
            let values = event.summary.map(|summary| summary.value).unwrap_or_default();
            (event.step, values.into_iter().map(|value| value.tag).collect::<Vec<_>>().join(" "))
        };
        let left: Vec<(i64, String)> = events.map(tags).collect();
        let expected =
            [(0, ""), (0, "batch_loss epoch_loss"), (1, "batch_loss"), (2, "batch_loss")];
        assert_eq!(left, expected.map(|(step, tags)| (step, tags.to_owned())));
        assert_eq!(fs::read(&foreign).unwrap(), b"of another program");
        assert!(keep_only(&folder.path().join("none"), |_, _| false).is_ok());
    }

    #[test]
    fn files_of_one_second_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("train");
        let _both = [EventWriter::create(&into).unwrap(), EventWriter::create(&into).unwrap()];
        assert_eq!(fs::read_dir(&into).unwrap().count(), 2);
    }
}
