use super::*;

#[test]
fn a_code_is_a_word_and_no_id() {
    for code in ["ForbiddenByRbac", "AADSTS700213", "http-403", "7.6", &"x".repeat(64)] {
        assert_eq!(Code::new(code).as_str(), code);
    }
    let id = "c0ffee00-1234-4abc-8def-0123456789ab";
    for text in ["", "two words", "a\nb", &"x".repeat(65), "é", id, &format!("app-{id}"), &format!("{id}.x")] {
        assert_eq!(Code::new(text).as_str(), "unknown", "{text}");
    }
}
