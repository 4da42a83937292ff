//! Where does one document of a YAML text end and the next begin?

/// One document of a text: from its `---` line (or the beginning) up to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The text, its `---` line included, so that columns stay those of the file.
    pub(super) text: &'a str,
    /// The line of the file on which the text begins, from 1.
    pub(super) line: usize,
}

impl Piece<'_> {
    /// Whether nothing is written in it: blank lines, comments, directives and the marker aside.
    pub(super) fn is_empty(&self) -> bool {
        self.text.lines().all(|line| {
            let line = if is_marker(line) { &line[3..] } else { line }.trim();
            line.is_empty() || line.starts_with(['#', '%']) || line == "..."
        })
    }
}

/// Splits a text into its documents. What stands before the first `---` is a document only if it has content.
///
/// A `---` at the beginning of a line ends even a block scalar ([YAML 1.2.2, section 9.1.2]), so lines are all there
/// is to look at.
///
/// [YAML 1.2.2, section 9.1.2]: https://yaml.org/spec/1.2.2/#912-document-markers
pub(super) fn split(text: &str) -> Vec<Piece<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pieces = Vec::new();
    let mut begin = (0, 1);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            let before = Piece { text: &text[begin.0..offset], line: begin.1 };
            if !pieces.is_empty() || begin.0 > 0 || !before.is_empty() || is_marker(before.text) {
                pieces.push(before);
            }
            begin = (offset, index + 1);
        }
        offset += line.len();
    }
    pieces.push(Piece { text: &text[begin.0..], line: begin.1 });
    pieces
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, &str)> {
        split(text).into_iter().map(|piece| (piece.line, piece.text)).collect()
    }

    #[test]
    fn documents_are_parted_by_marker_lines() {
        assert_eq!(texts("a: 1\n---\nb: 2\n"), [(1, "a: 1\n"), (2, "---\nb: 2\n")]);
        assert_eq!(texts("a: 1\r\n--- # next\r\nb: 2"), [(1, "a: 1\r\n"), (2, "--- # next\r\nb: 2")]);
        assert_eq!(texts("a: |\n  x\n--- {b: 2}\n"), [(1, "a: |\n  x\n"), (3, "--- {b: 2}\n")]);
    }

    #[test]
    fn other_dashes_part_nothing() {
        assert_eq!(split("a: |\n  ---\nb: 1\n ---\n----BEGIN\n---x\n").len(), 1);
    }

    #[test]
    fn empty_documents_count_save_what_precedes_the_first_marker() {
        assert_eq!(texts("# head\n---\na: 1\n"), [(2, "---\na: 1\n")]);
        assert_eq!(texts("\u{feff}---\n---\na: 1\n"), [(1, "---\n"), (2, "---\na: 1\n")]);
        let pieces = split("a: 1\n---\n# nothing\n---\nb: 1\n---\n");
        assert_eq!(pieces.iter().map(Piece::is_empty).collect::<Vec<_>>(), [false, true, false, true]);
        assert!(split("")[0].is_empty());
        assert!(split("%YAML 1.1\n---\n...\n")[0].is_empty());
    }
}
