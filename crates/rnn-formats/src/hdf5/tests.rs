use super::*;
use rnn_core::Data;

/// What h5py wrote: see `tests/interchange/containers.py`.
fn file(name: &str) -> Group {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interchange/files/");
    parse(std::fs::read(format!("{folder}{name}")).unwrap()).unwrap()
}

#[test]
fn reads_every_element_type_and_storage_of_either_generation() {
    for name in ["types.h5", "types_latest.h5"] {
        let root = file(name);
        let halves = HostTensor::from_f32([2, 3], vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5]).unwrap();
        for floats in ["f2", "<f4", ">f4", "<f8", ">f8", "bf16"] {
            assert_eq!(root.dataset(floats), Some(&halves), "{name} {floats}");
        }
        let integers = HostTensor::from_u32([2, 3], (0..6).collect()).unwrap();
        for integer in ["i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">u8"] {
            assert_eq!(root.dataset(integer), Some(&integers), "{name} {integer}");
        }
        let bools = root.dataset("bool").unwrap();
        assert_eq!(bools.data(), &Data::U32(vec![1, 0, 1, 0, 1, 0]), "{name}");
        assert_eq!(root.dataset("scalar"), Some(&HostTensor::scalar(2.5)));
        assert_eq!(root.dataset("empty").unwrap().shape().dims(), [0, 3]);
        let packed = HostTensor::from_f32([20, 30], (0..600).map(|i| i as f32).collect()).unwrap();
        assert_eq!(root.dataset("gzip"), Some(&packed));
        assert_eq!(root.dataset("filters"), Some(&packed));
        assert_eq!(root.dataset("unwritten").unwrap().data(), &Data::F32(vec![1.5; 4]));
        let list = |texts: &[&str]| Attribute::Texts(texts.iter().map(|&t| t.into()).collect());
        assert_eq!(root.text("fixed"), Some("text"));
        assert_eq!(root.text("variable"), Some("größe"));
        assert_eq!(root.attributes["list"], list(&["a", "bc"]));
        assert_eq!(root.attributes["fixed list"], list(&["a", "bc"]));
        assert_eq!(root.attributes["nothing"], list(&[]));
        assert!(!root.attributes.contains_key("number"));
    }
}

fn example() -> Group {
    let mut root = Group::default();
    let tensors = [
        HostTensor::scalar(1.0),
        HostTensor::from_u32([], vec![7]).unwrap(),
        HostTensor::from_f32([2, 2], vec![1.0, -0.0, f32::MAX, f32::MIN_POSITIVE / 2.0]).unwrap(),
        HostTensor::from_f32([0, 3], vec![]).unwrap(),
    ];
    let group = root.make_group("a/b").unwrap();
    for (i, tensor) in tensors.into_iter().enumerate() {
        group.members.insert(i.to_string(), Node::Dataset(tensor));
    }
    group.attributes.insert("long".into(), Attribute::Text("ä".repeat(40_000)));
    group.attributes.insert("none".into(), Attribute::Texts(vec![]));
    let names = (0..4000).map(|i| format!("layer {i}")).collect();
    root.attributes.insert("many".into(), Attribute::Texts(names));
    root.make_group("empty").unwrap();
    root
}

#[test]
fn what_is_written_reads_back_and_equal_groups_give_equal_bytes() {
    let bytes = to_bytes(&example()).unwrap();
    assert_eq!(bytes, to_bytes(&example()).unwrap());
    assert_eq!(parse(bytes).unwrap(), example());
}

#[test]
fn errors_name_the_object() {
    let mut root = Group::default();
    root.make_group("a").unwrap();
    let dataset = root.group("a/b").is_none();
    assert!(dataset && root.dataset("a").is_none());
    let problem = parse(b"\x89HDF\r\n\x1a\n".to_vec()).unwrap_err().to_string();
    assert!(problem.starts_with("no sound HDF5 file"), "{problem}");
}
