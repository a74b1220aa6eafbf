use super::*;

// pickle.dumps(array, protocol) of an object array of [1, 300, 70000, -5, 2**40] and [].
const PROTOCOL_0: &[u8] = b"cnumpy._core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\n\
    c_codecs\nencode\np3\n(Vb\np4\nVlatin1\np5\ntp6\nRp7\ntp8\nRp9\n(I1\n(I2\ntp10\ncnumpy\ndtype\np11\n\
    (VO8\np12\nI00\nI01\ntp13\nRp14\n(I3\nV|\np15\nNNNI-1\nI-1\nI63\ntp16\nbI00\n(lp17\n(lp18\nI1\naI300\n\
    aI70000\naI-5\naL1099511627776L\naa(lp19\natp20\nb.";
const PROTOCOL_1: &[u8] = b"cnumpy._core.multiarray\n_reconstruct\nq\x00(cnumpy\nndarray\nq\x01(K\x00tq\x02\
    c_codecs\nencode\nq\x03(X\x01\x00\x00\x00bq\x04X\x06\x00\x00\x00latin1q\x05tq\x06Rq\x07tq\x08Rq\t(K\x01\
    (K\x02tq\ncnumpy\ndtype\nq\x0b(X\x02\x00\x00\x00O8q\x0cI00\nI01\ntq\rRq\x0e(K\x03X\x01\x00\x00\x00|q\x0f\
    NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x10bI00\n]q\x11(]q\x12(K\x01M,\x01Jp\x11\x01\x00J\xfb\xff\xff\
    \xffL1099511627776L\ne]q\x13etq\x14b.";
const PROTOCOL_2: &[u8] = b"\x80\x02cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\
    \x85q\x02c_codecs\nencode\nq\x03X\x01\x00\x00\x00bq\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x87\
    q\x08Rq\t(K\x01K\x02\x85q\ncnumpy\ndtype\nq\x0bX\x02\x00\x00\x00O8q\x0c\x89\x88\x87q\rRq\x0e(K\x03X\x01\
    \x00\x00\x00|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x10b\x89]q\x11(]q\x12(K\x01M,\x01Jp\x11\x01\
    \x00J\xfb\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01e]q\x13etq\x14b.";
const PROTOCOL_3: &[u8] = b"\x80\x03cnumpy._core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\
    \x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07X\x02\x00\x00\x00O8q\x08\x89\
    \x88\x87q\tRq\n(K\x03X\x01\x00\x00\x00|q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0cb\x89]q\r(]q\
    \x0e(K\x01M,\x01Jp\x11\x01\x00J\xfb\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01e]q\x0fetq\x10b.";
const PROTOCOL_4: &[u8] = b"\x80\x04\x95\xa7\x00\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\
    \x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\
    \x94R\x94(K\x01K\x02\x85\x94h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\
    \x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94(]\x94(K\x01M,\x01Jp\x11\x01\x00J\xfb\
    \xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01e]\x94et\x94b.";

/// An array whose element list is built by `elements`, announced with `len` elements.
fn array(len: u8, elements: &[u8]) -> Vec<u8> {
    let mut pickle = PROTOCOL_3[..PROTOCOL_3.iter().position(|&b| b == b']').unwrap()].to_vec();
    let shape = pickle.windows(3).position(|w| w == b"K\x02\x85").unwrap();
    pickle[shape + 1] = len;
    pickle.extend(elements);
    pickle.extend(b"tb.");
    pickle
}

fn problem(pickle: &[u8]) -> String {
    ragged_integer_lists(pickle).unwrap_err().to_string()
}

#[test]
fn reads_all_protocols() {
    let mut protocol_5 = PROTOCOL_4.to_vec();
    protocol_5[1] = 5;
    for pickle in [PROTOCOL_0, PROTOCOL_1, PROTOCOL_2, PROTOCOL_3, PROTOCOL_4, &protocol_5] {
        let lists = ragged_integer_lists(pickle).unwrap();
        assert_eq!(lists, [vec![1, 300, 70000, -5, 1 << 40], vec![]]);
    }
}

#[test]
fn reads_the_older_numpy_module_name() {
    let pickle = PROTOCOL_0.escape_ascii().to_string().replace("\\n", "\n");
    let pickle = pickle.replace("numpy._core", "numpy.core");
    assert_eq!(ragged_integer_lists(pickle.as_bytes()).unwrap().len(), 2);
}

#[test]
fn refuses_every_other_callable_by_name() {
    for pickle in [
        &b"cos\nsystem\n(S'echo pwned'\ntR."[..],
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x04echo\x94\x85\x94R\x94.",
    ] {
        let error = ragged_integer_lists(pickle).unwrap_err();
        assert!(matches!(&error, PickleError::Callable { name, .. } if name == "os.system"));
        assert!(error.to_string().contains("refuses to call os.system"));
    }
    assert!(problem(b"cbuiltins\neval\n.").contains("builtins.eval"));
    assert!(problem(b"cnumpy\nload\n.").contains("numpy.load"));
    // INST, OBJ and NEWOBJ, the other ways to call.
    assert!(problem(b"(ios\nsystem\n.").contains("opcode 0x69"));
    assert!(problem(b"(o.").contains("opcode 0x6f"));
    assert!(problem(b"\x80\x02NN\x81.").contains("opcode 0x81"));
}

#[test]
fn every_prefix_and_every_changed_byte_is_survived() {
    for pickle in [PROTOCOL_0, PROTOCOL_2, PROTOCOL_4] {
        for end in 0..pickle.len() {
            assert!(ragged_integer_lists(&pickle[..end]).is_err());
        }
        let mut changed = pickle.to_vec();
        for i in 0..changed.len() {
            for byte in 0..=255 {
                changed[i] = byte;
                let _ = ragged_integer_lists(&changed);
            }
            changed[i] = pickle[i];
        }
    }
}

#[test]
fn says_what_it_found_instead_of_integer_lists() {
    assert!(problem(&array(1, b"](K\x01e")).contains("element 0 is an integer"));
    assert!(problem(&array(1, b"](Ne")).contains("element 0 is None"));
    assert!(problem(&array(1, b"](](K\x01Nee")).contains("more than plain integers"));
    assert!(problem(&array(2, b"](]e")).contains("shape is not [1]"));
    assert!(problem(&array(0, b"N")).contains("elements are None"));
    assert!(problem(b"N.").contains("no filled array"));
}

#[test]
fn integers_beyond_64_bits_are_errors() {
    let long = |bytes: &[u8]| {
        let mut elements = b"](]\x8a".to_vec();
        elements.push(bytes.len() as u8);
        elements.extend(bytes);
        elements.extend(b"ae");
        ragged_integer_lists(&array(1, &elements))
    };
    assert_eq!(long(&[]).unwrap(), [[0]]);
    assert_eq!(long(&[0xff]).unwrap(), [[-1]]);
    assert_eq!(long(&[0xff, 0]).unwrap(), [[255]]);
    assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]).unwrap(), [[i64::MIN]]);
    assert!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]).is_err());
    assert!(long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff]).is_err());
}

#[test]
fn shared_lists_cannot_blow_up() {
    // One list of 255 integers, then 200 references to it of one byte (DUP) each.
    let mut elements = b"](](".to_vec();
    elements.extend([b'K', 7].repeat(255));
    elements.push(b'e');
    elements.extend([b'2'; 199]);
    elements.push(b'e');
    assert!(problem(&array(200, &elements)).contains("larger than the pickle"));
}

#[test]
fn a_gap_in_the_memo_is_refused() {
    assert!(problem(b"Nr\xff\xff\xff\x7f.").contains("leaves a gap"));
    assert!(problem(b"h\x00.").contains("never stored"));
}
