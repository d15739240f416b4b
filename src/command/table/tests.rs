use super::table;

#[test]
fn columns_are_as_wide_as_what_is_in_them() {
    let rows = [["a", "long reference", "ok"], ["longer-name", "-", "denied"]];
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    let expected = "NAME          REFERENCE        STATE\na             long reference   ok\nlonger-name   -                denied\n";
    assert_eq!(table(&["NAME", "REFERENCE", "STATE"], &rows), expected);
    assert_eq!(table(&["NAME"], &[]), "NAME\n");
}
