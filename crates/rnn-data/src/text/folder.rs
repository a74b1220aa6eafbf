use super::collect::{Collection, TextSplit};
use super::{MAX_TEXT, TextError, at};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Reads `train/{pos,neg}/*.txt` and, where they are, `test/{pos,neg}/*.txt`; or `{pos,neg}/*.txt`.
pub(super) fn read(path: &Path, all: &mut Collection) -> Result<(), TextError> {
    let train = path.join("train");
    let train = if train.is_dir() { train } else { path.to_owned() };
    let complete = ["pos", "neg"].iter().all(|class| train.join(class).is_dir());
    if !complete {
        return Err(TextError::Layout { path: path.into() });
    }
    read_part(TextSplit::Train, &train, all)?;
    let test = path.join("test");
    // What cannot be looked at is not taken to be absent.
    let there = test.try_exists().map_err(at(&test))? && test.is_dir();
    if there && train != path {
        read_part(TextSplit::Test, &test, all)?;
    }
    Ok(())
}

fn read_part(part: TextSplit, folder: &Path, all: &mut Collection) -> Result<(), TextError> {
    let mut bytes = Vec::new();
    for (class, positive) in [("pos", true), ("neg", false)] {
        for path in texts(&folder.join(class))? {
            bytes.clear();
            let file = File::open(&path).map_err(at(&path))?;
            let length = file.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(at(&path))?;
            if length as u64 > MAX_TEXT {
                return Err(TextError::Long { path, line: 1 });
            }
            let text = all.text(&bytes);
            all.push(part, &text, positive);
        }
    }
    Ok(())
}

/// The .txt files of a folder, those with a number in front (`12_8.txt`) in its order.
fn texts(folder: &Path) -> Result<Vec<PathBuf>, TextError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.extension().is_some_and(|e| e == "txt") {
            found.push(path);
        }
    }
    let number = |path: &PathBuf| -> Option<u64> {
        path.file_stem()?.to_str()?.split('_').next()?.parse().ok()
    };
    found.sort_by_cached_key(|path| (number(path), path.clone()));
    Ok(found)
}
