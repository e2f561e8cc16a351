//! Columns that fit the terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table};

/// A table whose columns in `fixed` are not broken over lines.
pub fn render<const N: usize>(
    headings: [&str; N],
    rows: &[([String; N], Option<Color>)],
    fixed: std::ops::Range<usize>,
    width: usize,
    coloured: bool,
) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    if coloured {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let bold = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    table.set_header(headings.iter().map(|heading| bold(heading)));
    for (row, colour) in rows {
        let cells = row.iter().enumerate().map(|(column, text)| {
            let cell = Cell::new(text);
            match colour {
                Some(colour) if column == 1 => cell.fg(*colour),
                _ => cell,
            }
        });
        table.add_row(cells);
    }
    for column in unbroken(&headings, rows, fixed, width) {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index + 1 == N { 0 } else { 2 }));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// Room for a column that may be broken over lines, where the others are not.
const BROKEN: usize = 14;

/// Which columns are not broken over lines: as many as there is room for, and those that are
/// said to be fixed in any case.
fn unbroken<const N: usize>(
    headings: &[&str; N],
    rows: &[([String; N], Option<Color>)],
    fixed: std::ops::Range<usize>,
    width: usize,
) -> Vec<usize> {
    let widest = |column: &usize| {
        let cells = rows.iter().filter_map(|(row, _)| row.get(*column));
        let cells = cells.map(|text| text.chars().count());
        let heading = headings.get(*column).map_or(0, |text| text.len());
        2 + cells.max().unwrap_or(0).max(heading)
    };
    let all: Vec<usize> = (0..N - 1).collect();
    let but_second: Vec<usize> = all.iter().copied().filter(|column| *column != 1).collect();
    for columns in [all, but_second] {
        let taken: usize = columns.iter().map(widest).sum();
        if taken + BROKEN * (N - columns.len()) <= width {
            return columns;
        }
    }
    fixed.collect()
}
