use super::*;
use std::fs;

fn example() -> Vec<(&'static str, HostTensor)> {
    vec![
        (
            "z/kernel",
            HostTensor::from_f32([2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0]).unwrap(),
        ),
        ("a \"quoted\"\n", HostTensor::from_u32([3], vec![0, 7, u32::MAX]).unwrap()),
        ("scalar", HostTensor::scalar(0.5)),
        ("empty", HostTensor::from_f32([0, 3], vec![]).unwrap()),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    ["one", "two", "three", "four"].map(|k| (k.to_owned(), format!("value \\ of {k}"))).into()
}

/// A file of one tensor `t`, as any other program might write it.
fn foreign(dtype: &str, shape: &str, data: &[u8]) -> Result<Loaded, SafetensorsError> {
    let len = data.len();
    let header =
        format!("{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[0,{len}]}}}}");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.safetensors");
    fs::write(&path, bytes).unwrap();
    load(&path)
}

#[test]
fn what_is_saved_loads_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    save(&path, &example(), &metadata()).unwrap();
    let (tensors, found) = load(&path).unwrap();
    assert_eq!(found, metadata());
    // Tensors without elements share their offset with the next; only they may change place.
    let filled = |tensors: &[(String, HostTensor)]| -> Vec<(String, HostTensor)> {
        tensors.iter().filter(|(_, t)| !t.shape().is_empty()).cloned().collect()
    };
    let expected: Vec<_> = example().into_iter().map(|(n, t)| (n.to_owned(), t)).collect();
    assert_eq!(filled(&tensors), filled(&expected));
    assert_eq!(tensors.len(), expected.len());
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    for path in &paths {
        save(path, &example(), &metadata()).unwrap();
    }
    assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
}

#[test]
fn converts_the_element_types_of_others() {
    let one = |dtype, data: &[u8]| foreign(dtype, "[1]", data).unwrap().0.remove(0).1;
    let float = HostTensor::from_f32([1], vec![1.5]).unwrap();
    assert_eq!(one("F16", &f16::from_f32(1.5).to_le_bytes()), float);
    assert_eq!(one("BF16", &bf16::from_f32(1.5).to_le_bytes()), float);
    let index = HostTensor::from_u32([1], vec![9]).unwrap();
    assert_eq!(one("I32", &9i32.to_le_bytes()), index);
    assert_eq!(one("I64", &9i64.to_le_bytes()), index);
}

#[test]
fn errors_name_the_tensor() {
    let negative = foreign("I32", "[1]", &(-1i32).to_le_bytes()).unwrap_err().to_string();
    assert!(negative.contains("tensor 't'") && negative.contains("element 0 is -1"));
    let double = foreign("F64", "[1]", &[0; 8]).unwrap_err().to_string();
    assert!(double.contains("F64 is not supported"), "{double}");
    assert!(foreign("F32", "[2]", &[0; 4]).is_err());
    assert!(foreign("F32", "[0, 4294967296, 4294967296]", &[]).is_err());
}

#[test]
fn names_must_differ() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    for name in ["a", METADATA] {
        let tensors = [(name, HostTensor::scalar(0.0)), ("a", HostTensor::scalar(0.0))];
        let error = save(&path, &tensors, &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, SafetensorsError::Name { .. }));
    }
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    save(&path, &example(), &metadata()).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(load(&path).is_err());
    }
}

/// Whatever bit turns, the file is refused, or the tensors are those that were written: what names
/// the digest may be lost, no more.
#[test]
fn no_flipped_bit_changes_a_tensor_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    save(&path, &example(), &metadata()).unwrap();
    let (tensors, _) = load(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match parse(&path, &flipped) {
            Ok((found, _)) => assert_eq!(found, tensors, "bit {bit} flipped"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 8 * (whole.len() - "sha256".len()) - 8, "{refused} of {}", 8 * whole.len());
}

/// A file that another program wrote anew, with the metadata and in another order, is the same.
#[test]
fn the_order_of_tensors_in_a_file_is_free_and_a_file_without_a_digest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let named = |order: [usize; 2]| order.map(|at| example()[at].clone());
    save(&path, &named([0, 1]), &metadata()).unwrap();
    let digest = digest::of_tensors(&named([0, 1]), &metadata());
    let write = |order: [usize; 2], digest: Option<&str>| {
        let mut all = metadata();
        all.extend(digest.map(|digest| (digest::KEY.to_owned(), digest.to_owned())));
        let header = header(&named(order), &all).unwrap();
        let mut bytes = Vec::new();
        super::write(&mut bytes, &header, &named(order)).unwrap();
        parse(&path, &bytes)
    };
    assert_eq!(write([0, 1], Some(&digest)).unwrap(), load(&path).unwrap());
    assert_eq!(write([1, 0], Some(&digest)).unwrap().1, metadata());
    assert!(write([0, 1], None).is_ok());
    let message = write([0, 1], Some("another")).unwrap_err().to_string();
    assert!(message.contains("m.safetensors") && message.contains("'sha256'"), "{message}");
}
