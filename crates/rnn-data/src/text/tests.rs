use super::*;
use std::fs;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What reading a file of these bytes comes to, with the usual columns.
    fn read(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<TextReviews, TextError> {
        read(&self.write(name, bytes), &Columns::default(), None, 1)
    }

    fn error(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let message = self.read(name, bytes).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        message
    }
}

/// The texts of a part, words that are not in the vocabulary as `?`.
fn texts(part: &crate::imdb::Reviews, vocabulary: &Vocabulary) -> Vec<String> {
    let word = |&rank: &u32| vocabulary.words().get(rank as usize - 1).map_or("?", |w| w);
    part.tokens.iter().map(|t| t.iter().map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_folder_keeps_its_parts_and_its_order() {
    let files = Files::new();
    for (name, text) in [
        ("train/pos/10_9.txt", "Good film, good!"),
        ("train/pos/9_8.txt", "film"),
        ("train/neg/0_1.txt", "bad"),
        ("train/neg/note.md", "not a review"),
        ("test/neg/0_2.txt", "bad plot"),
        ("test/pos/0_7.txt", "good"),
    ] {
        files.write(name, text);
    }
    let root = files.0.path();
    let TextReviews { reviews, vocabulary, repaired } =
        read(root, &Columns::default(), None, 1).unwrap();
    // film and good occur twice; film was read first. plot occurs only where it is tested.
    assert_eq!(vocabulary.words(), ["film", "good", "bad"]);
    assert_eq!(texts(&reviews.train, &vocabulary), ["film", "good film good", "bad"]);
    assert_eq!(reviews.train.labels, [1.0, 1.0, 0.0]);
    assert_eq!(texts(&reviews.test, &vocabulary), ["good", "bad ?"]);
    assert_eq!(repaired, 0);
    let known = Vocabulary::new(Tokenizer::default(), vec!["plot".into()]);
    let again = read(root, &Columns::default(), Some(known), 1).unwrap();
    assert_eq!(texts(&again.reviews.test, &again.vocabulary), ["?", "? plot"]);
}

#[test]
fn tables_of_every_kind_hold_the_same_reviews() {
    let files = Files::new();
    let csv = "\u{feff}id,Review,Sentiment\n1,\"good,\nfilm\",positive\n2,bad,NEG\n";
    let csv = files.read("a.csv", csv).unwrap();
    let json = "{\"text\": \"good, film\", \"label\": true}\n\n{\"label\": 0, \"text\": \"bad\"}";
    let json = files.read("a.jsonl", json).unwrap();
    let tsv = files.read("a.tsv", "class\tsentence\n1\tgood film\n0\tbad\n").unwrap();
    for table in [&json, &tsv] {
        assert_eq!(table.reviews, csv.reviews);
        assert_eq!(table.vocabulary, csv.vocabulary);
    }
    let all: Vec<f32> = [&csv.reviews.train.labels[..], &csv.reviews.test.labels].concat();
    assert_eq!(all, [1.0, 0.0]);
    let names = Columns { text: Some("body".into()), label: Some("stars".into()) };
    let path = files.write("b.csv", "text,body,stars\nx,good,1\nx,bad,0\n");
    let named = read(&path, &names, None, 1).unwrap();
    assert_eq!(named.vocabulary.words(), ["good", "bad"]);
}

#[test]
fn the_seed_decides_what_is_tested() {
    let files = Files::new();
    let lines: String = (0..100).map(|i| format!("w{i},{}\n", i % 2)).collect();
    let path = files.write("a.csv", format!("text,label\n{lines}"));
    let test = |seed| read(&path, &Columns::default(), None, seed).unwrap().reviews.test.tokens;
    let trained = files.read("a.csv", format!("text,label\n{lines}")).unwrap().vocabulary;
    assert_eq!((test(1).len(), trained.words().len()), (20, 80));
    let labels = |seed| read(&path, &Columns::default(), None, seed).unwrap().reviews.test.labels;
    assert_eq!(labels(3), labels(3));
    assert_ne!(labels(3), labels(4));
}

#[test]
fn each_mistake_is_named() {
    let files = Files::new();
    assert!(files.error("a.csv", "").contains("holds no reviews"));
    assert!(files.error("a.csv", "text,label\n").contains("holds no reviews"));
    let message = files.error("a.csv", "body,stars\nx,1\n");
    assert!(message.contains("no column text, review or sentence, but body, stars"), "{message}");
    assert!(message.contains("name the text column"), "{message}");
    let message = files.error("a.csv", "text,label\ngood,1\nbad,2\n");
    assert!(message.contains("line 3") && message.contains("\"2\""), "{message}");
    let message = files.error("a.csv", "text,label\ngood,1\nfine,1\n");
    assert!(message.contains("all 2 reviews") && message.contains("positive"), "{message}");
    assert!(files.error("a.csv", "text,label\ngood,1\nbad\n").contains("line 3"));
    let message = files.error("a.jsonl", "{\"text\": \"x\", \"label\": 1}\n[1]\n");
    assert!(message.contains("line 2"), "{message}");
    let message = files.error("a.jsonl", "{\"text\": 1, \"label\": 1}");
    assert!(message.contains("not a string"), "{message}");
    let missing = read(&files.0.path().join("none.csv"), &Columns::default(), None, 1);
    assert!(missing.unwrap_err().to_string().contains("none.csv"));
    let message = read(files.0.path(), &Columns::default(), None, 1).unwrap_err().to_string();
    assert!(message.contains("train/pos"), "{message}");
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_and_counted() {
    let files = Files::new();
    let csv = files.read("a.csv", b"text,label\ncaf\xe9 good,1\nbad,0\n").unwrap();
    assert_eq!(csv.repaired, 1);
    let json =
        files.read("a.jsonl", b"{\"text\":\"\xff\",\"label\":1}\n{\"text\":\"x\",\"label\":0}");
    assert_eq!(json.unwrap().repaired, 1);
}

/// The raw reviews against Keras's encoding of them, word by word.
#[test]
fn the_official_encoding_is_reproduced() {
    let raw = std::env::var_os("RNN_GPU_ACLIMDB").map(PathBuf::from);
    let Some(raw) = raw.filter(|path| path.is_dir()) else {
        return rnn_testing::skip("no folder RNN_GPU_ACLIMDB");
    };
    let files = ["imdb/imdb_word_index.json", "imdb/imdb.npz"].map(rnn_testing::shared);
    let [Some(index), Some(encoded)] = files else { return };
    let index = Vocabulary::read_word_index(&index).unwrap();
    let ours = read(&raw, &Columns::default(), Some(index), 1).unwrap().reviews;
    let theirs = RawReviews::read(&encoded).unwrap();
    let sorted = |part: &crate::imdb::Reviews| {
        let known = |tokens: &Vec<u32>| -> Vec<u32> {
            // Keras left out the words that only test reviews have.
            tokens.iter().copied().filter(|&rank| rank != vocabulary::UNKNOWN).collect()
        };
        let labels = part.labels.iter().map(|label| label.to_bits());
        let mut all: Vec<_> = part.tokens.iter().map(known).zip(labels).collect();
        all.sort_unstable();
        all
    };
    assert!(sorted(&ours.train) == sorted(&theirs.train), "training reviews differ");
    assert!(sorted(&ours.test) == sorted(&theirs.test), "test reviews differ");
    let built = read(&raw, &Columns::default(), None, 1).unwrap().vocabulary;
    println!("{} words in the training part", built.words().len());
}
