use super::*;

#[test]
fn a_generation_is_known_by_its_name() {
    let name = generation(42).unwrap();
    assert_eq!(generation_number(&name), Some(42));
    assert_ne!(generation(42).unwrap(), name);
    for other in [
        "..g42",
        "..g42-",
        "..g-0123456789abcdef",
        "..g+1-0123456789abcdef",
        "..g1-0123456789ABCDEF",
        "..g1-0123456789abcdef0",
        "..g18446744073709551616-0123456789abcdef",
        "g1-0123456789abcdef",
        "..data",
    ] {
        assert_eq!(generation_number(OsStr::new(other)), None, "{other}");
    }
}

#[test]
fn leftovers_are_what_we_would_call_so() {
    for name in [generation(1), temporary(), aside()] {
        assert!(may_be_leftover(&name.unwrap()));
    }
    for other in ["..data", "..lock", "..tmp-1", "..data_tmp", "..2024_01_01_00_00_00.1", "key"] {
        assert!(!may_be_leftover(OsStr::new(other)), "{other}");
    }
}

#[test]
fn a_path_that_leaves_the_directory_has_no_visible_name() {
    assert_eq!(visible(Path::new("openai/key")), Some(OsStr::new("openai")));
    assert_eq!(visible(Path::new("key")), Some(OsStr::new("key")));
    for bad in ["", "/etc/key", "../key", "..data", "..data/key", "a/../../key", "."] {
        assert_eq!(visible(Path::new(bad)), None, "{bad}");
    }
    assert_eq!(visible_text(OsStr::new("openai")), OsString::from("..data/openai"));
}
