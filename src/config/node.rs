//! A YAML document as a small tree that remembers where everything stands.
//!
//! Knows YAML; must not know the configuration. Aliases, tags and merge keys are refused: a configuration that is
//! reviewed should say what it means where it says it. A message never quotes a value: it could be a secret.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Longer than any configuration, shorter than anything that could hurt.
const LONGEST_TEXT: usize = 1 << 20;
const DEEPEST: usize = 32;
const TAG: &str = "a tag has no meaning here: remove it";

/// A place in the text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Something that is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and how to mend it.
    pub message: String,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Tells nodes apart: two may stand at one place.
    pub(super) id: usize,
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar {
        text: String,
        plain: bool,
    },
    /// Items with their numbers as written: these stay when others are cut out.
    List(Vec<(usize, Node)>),
    Mapping(Vec<(Node, Node)>),
}

/// The steps from the root to a node: keys, and numbers of list items.
pub(super) type Path = Vec<String>;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// What was cut out because it was wrong: whoever misses it there must not complain again.
    cut: BTreeSet<Path>,
}

impl Tree {
    /// Reads a text. What is wrong with its YAML goes to `problems`; a text that is no YAML at all gives no tree.
    pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if text.len() > LONGEST_TEXT {
            let message = "the configuration is longer than 1 MiB".to_owned();
            problems.push(Problem { place: Place { line: 1, column: 1 }, message });
            return None;
        }
        let parser = Parser::new_from_str(text);
        let mut builder = Builder { text, parser, ids: 0, problems, cut: BTreeSet::new() };
        let root = match builder.document() {
            Ok(root) => root,
            Err(problem) => {
                builder.problems.push(problem);
                return None;
            }
        };
        Some(Self { root, cut: builder.cut })
    }

    /// The path as written (items are counted before any was cut out), and where the value at it stands, or the nearest
    /// one above it that is there.
    pub(super) fn find(&self, path: &[&str]) -> (Path, Place) {
        let (mut written, mut place, mut node) = (Path::new(), self.root.place, Some(&self.root));
        for step in path {
            let next = node.and_then(|node| node.child(step));
            written.push(next.as_ref().map_or_else(|| (*step).to_owned(), |(step, _)| step.clone()));
            node = next.map(|(_, child)| child);
            place = node.map_or(place, |node| node.place);
        }
        (written, place)
    }

    /// Where the key of the mapping's entry at the path stands.
    pub(super) fn key_place(&self, path: &[&str]) -> Option<Place> {
        let (last, above) = path.split_last()?;
        let mapping = above.iter().try_fold(&self.root, |node, step| node.child(step).map(|(_, child)| child))?;
        let Value::Mapping(entries) = &mapping.value else { return None };
        entries.iter().find(|(key, _)| key.text() == Some(*last)).map(|(key, _)| key.place)
    }

    /// Whether something at or above this path was cut out.
    pub(super) fn was_cut<T: AsRef<str>>(&self, path: &[T]) -> bool {
        let path: Path = path.iter().map(|step| step.as_ref().to_owned()).collect();
        (1..=path.len()).any(|length| path.get(..length).is_some_and(|path| self.cut.contains(path)))
    }

    /// Whether something at or below this path was cut out.
    pub(super) fn was_cut_within(&self, path: &[&str]) -> bool {
        self.cut.iter().any(|cut| cut.iter().zip(path).filter(|(cut, step)| cut == step).count() == path.len())
    }

    /// Takes what is missing at this path for cut out.
    pub(super) fn excuse(&mut self, path: Path) {
        self.cut.insert(path);
    }

    /// Cuts out the smallest entry that has this node as its key or value, and tells its path and where the node stood.
    /// None when that is the whole document.
    pub(super) fn cut(&mut self, id: usize) -> Option<(Path, Place)> {
        let mut path = Path::new();
        let place = cut_from(&mut self.root, id, &mut path)?;
        self.cut.insert(path.clone());
        Some((path, place))
    }
}

fn cut_from(node: &mut Node, id: usize, path: &mut Path) -> Option<Place> {
    match &mut node.value {
        Value::Scalar { .. } => None,
        Value::List(items) => {
            for (position, (number, item)) in items.iter_mut().enumerate() {
                path.push(number.to_string());
                if let Some(place) = cut_from(item, id, path) {
                    return Some(place);
                }
                if item.id == id {
                    return Some(items.remove(position).1.place);
                }
                path.pop();
            }
            None
        }
        Value::Mapping(entries) => {
            for (position, (key, value)) in entries.iter_mut().enumerate() {
                path.push(key.text().unwrap_or_default().to_owned());
                if let Some(place) = cut_from(value, id, path) {
                    return Some(place);
                }
                let place = if key.id == id { key.place } else { value.place };
                if key.id == id || value.id == id {
                    entries.remove(position);
                    return Some(place);
                }
                path.pop();
            }
            None
        }
    }
}

impl Node {
    /// The entry of this key, or this item of those that are left; and the step to it as written.
    fn child(&self, step: &str) -> Option<(String, &Self)> {
        match &self.value {
            Value::Scalar { .. } => None,
            Value::List(items) => {
                items.get(step.parse::<usize>().ok()?).map(|(number, item)| (number.to_string(), item))
            }
            Value::Mapping(entries) => {
                entries.iter().find(|(key, _)| key.text() == Some(step)).map(|(_, value)| (step.to_owned(), value))
            }
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is YAML's null (core schema): nothing, `~` or `null`, unquoted.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

struct Builder<'text, 'problems> {
    text: &'text str,
    parser: Parser<'text, saphyr_parser::StrInput<'text>>,
    ids: usize,
    problems: &'problems mut Vec<Problem>,
    cut: BTreeSet<Path>,
}

impl<'text> Builder<'text, '_> {
    fn document(&mut self) -> Result<Node, Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(self.node(&span, Value::Mapping(Vec::new()))),
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                event => {
                    let root = self.build(event, &span, &mut Path::new())?;
                    self.end()?;
                    // A configuration that is all comments is an empty one.
                    return Ok(if root.is_null() { Node { value: Value::Mapping(Vec::new()), ..root } } else { root });
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => {
                    self.note(&span, "a second document begins here; a configuration is one document");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'text>, Span), Problem> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let place = Place { line: error.marker().line().max(1), column: error.marker().col() + 1 };
                let hint = how_to_mend(self.text, place);
                Err(Problem { place, message: format!("this is no YAML: {}: {hint}", error.info()) })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, span: &Span, value: Value) -> Node {
        self.ids += 1;
        Node { id: self.ids, place: place(span), value }
    }

    fn build(&mut self, event: Event<'text>, span: &Span, path: &mut Path) -> Result<Node, Problem> {
        if path.len() > DEEPEST {
            return Err(problem(span, "this is nested too deeply"));
        }
        let tag = match &event {
            Event::Scalar(_, _, _, tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => tag.is_some(),
            _ => false,
        };
        if tag {
            self.refuse(span, path, TAG);
        }
        match event {
            Event::Scalar(text, style, _, _) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                Ok(self.node(span, value))
            }
            Event::Alias(_) => {
                self.refuse(span, path, "an alias is not followed: write out what it stands for");
                Ok(self.node(span, Value::Scalar { text: String::new(), plain: true }))
            }
            Event::SequenceStart(..) => self.list(span, path),
            Event::MappingStart(..) => self.mapping(span, path),
            _ => Err(problem(span, "this is no YAML")),
        }
    }

    fn list(&mut self, span: &Span, path: &mut Path) -> Result<Node, Problem> {
        let mut items = Vec::new();
        for number in 0.. {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            path.push(number.to_string());
            let item = self.build(event, &at, path)?;
            if !self.cut.contains(path) {
                items.push((number, item));
            }
            path.pop();
        }
        Ok(self.node(span, Value::List(items)))
    }

    fn mapping(&mut self, span: &Span, path: &mut Path) -> Result<Node, Problem> {
        let mut entries = Vec::new();
        let mut lines = BTreeMap::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(self.node(span, Value::Mapping(entries)));
            }
            let Event::Scalar(text, _, _, tag) = event else {
                return Err(problem(&at, "a key is a word, not an alias, a list or a mapping"));
            };
            if tag.is_some() {
                self.note(&at, TAG);
            }
            let text = text.into_owned();
            let key = self.node(&at, Value::Scalar { text: text.clone(), plain: false });
            path.push(text.clone());
            let (event, value_at) = self.next()?;
            let value = self.build(event, &value_at, path)?;
            if text == "<<" {
                self.refuse(&at, path, "a merge key is not followed: write out what it stands for");
            } else if let Some(line) = lines.get(&text) {
                self.note(&at, &format!("this key stands in its mapping already, on line {line}: remove one"));
            } else if !self.cut.contains(path) {
                entries.push((key, value));
            }
            lines.entry(text).or_insert(place(&at).line);
            path.pop();
        }
    }

    fn note(&mut self, span: &Span, message: &str) {
        self.problems.push(problem(span, message));
    }

    fn refuse(&mut self, span: &Span, path: &Path, message: &str) {
        self.note(span, message);
        self.cut.insert(path.clone());
    }
}

/// What probably helps where the scanner stumbled. The text itself is not repeated.
fn how_to_mend(text: &str, place: Place) -> &'static str {
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let back = |steps| line.chars().nth(place.column.checked_sub(steps)?);
    match (back(2), back(1)) {
        (_, Some('@' | '`' | '*')) => "put a value that begins with '@', '`' or '*' in quotes",
        (Some('$'), Some('{')) => "inside of {…}, put '${{…}}' in quotes",
        _ if line.contains('\t') => "indent by blanks instead of tabs",
        _ => "put a value in quotes that begins with '@' or holds '{', '}', ': ' or ' #', and see to the indentation",
    }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn problem(span: &Span, message: &str) -> Problem {
    Problem { place: place(span), message: message.to_owned() }
}
