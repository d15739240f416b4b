use super::*;
use proptest::prelude::*;

#[test]
fn elements_are_read_one_after_the_other() {
    let mut reader = Reader::new(&[2, 1, 5, 0x30, 0x81, 3, 4, 1, 9, 5, 0]);
    assert_eq!(reader.number(), Ok(5));
    assert_eq!(&*reader.enter(SEQUENCE).unwrap().octets().unwrap(), [9]);
    assert!(reader.take_if(INTEGER).unwrap().is_none());
    assert!(reader.take_if(NULL).unwrap().is_some());
    assert!(reader.is_at_end() && reader.next().is_err());
}

#[test]
fn elements_of_unknown_length_end_at_their_mark() {
    let bytes = [0x30, 0x80, 0x30, 0x80, 4, 2, 0, 0, 0, 0, 2, 1, 7, 0, 0, 5, 0];
    let mut reader = Reader::new(&bytes);
    let outer = reader.take(SEQUENCE).unwrap();
    assert_eq!((outer.whole.len(), outer.body.len()), (15, 11));
    let mut inside = outer.inside();
    assert_eq!(inside.enter(SEQUENCE).unwrap().octets().unwrap().as_ref(), [0, 0]);
    assert_eq!(inside.number(), Ok(7));
    let pieces = [0x24, 0x80, 4, 1, 1, 4, 2, 2, 3, 0, 0];
    assert_eq!(Reader::new(&pieces).octets().unwrap().as_ref(), [1, 2, 3]);
}

#[test]
fn what_is_not_allowed_is_refused() {
    let table: [&[u8]; 11] = [
        &[],
        &[0x30],
        &[4, 1],
        &[4, 0x80, 0, 0],                   // Only what has elements inside can end at a mark.
        &[0x30, 0x80],                      // No mark.
        &[0x30, 0x80, 0x30, 0x80, 0, 0],    // One mark for two.
        &[4, 0x85, 0, 0, 0, 0, 1, 7],       // Lengths of five bytes.
        &[4, 0x84, 0xff, 0xff, 0xff, 0xff], // Four billion bytes.
        &[4, 0xff, 1],
        &[0x1f, 0x81, 1, 0], // A tag of several bytes.
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x80],
    ];
    for bytes in table {
        assert!(Reader::new(bytes).next().is_err(), "{bytes:x?}");
    }
    for number in [&[2, 0][..], &[2, 1, 0x80], &[2, 5, 1, 0, 0, 0, 0], &[2, 6, 0, 0, 0, 0, 0, 1], &[4, 1, 1]] {
        assert!(Reader::new(number).number().is_err(), "{number:x?}");
    }
    assert!(Reader::new(&[3, 1, 1]).bits().is_err() && Reader::new(&[3, 0]).bits().is_err());
    assert!(Reader::only(&[5, 0, 5, 0], NULL).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4)) {
        let borrowed: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let whole = wrap(OCTET_STRING, &borrowed);
        let element = Reader::only(&whole, OCTET_STRING).unwrap();
        prop_assert_eq!(element.body, pieces.concat());
        prop_assert_eq!(element.whole, whole.as_slice());
    }

    #[test]
    fn numbers_come_back(number in any::<u32>()) {
        prop_assert_eq!(Reader::new(&unsigned(&number.to_be_bytes())).number(), Ok(number));
    }

    #[test]
    fn reading_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Reader::new(&bytes);
        let mut read = 0;
        while let Ok(element) = reader.next() {
            prop_assert!(element.whole.len() >= 2 && element.body.len() < element.whole.len());
            read += element.whole.len();
        }
        prop_assert!(read <= bytes.len());
    }
}
