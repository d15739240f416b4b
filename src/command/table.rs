//! Tables that people read: columns as wide as what is in them, three blanks apart, as kubectl writes them.

/// The rows, under their heads. The last column is not filled up.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str).chain(heads.get(column).copied());
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
    std::iter::once(&heads).chain(rows).map(|row| line(row)).collect()
}

#[cfg(test)]
mod tests;
