//! How large a template may be. The engine follows expressions and `elif`s by recursion without counting how deep: what
//! would take more stack than there is must not reach it.

use minijinja::machinery::{Token, tokenize};

use super::Wrong;
use super::engine::syntax;

/// No template is longer; a longer one is a mistake.
const LONGEST: usize = 1 << 20;
/// The words and signs in one pair of braces, each of which may be a level of its own.
const MOST_TOKENS: usize = 500;
/// The `elif`s in a template: each lies within the one before.
const MOST_BRANCHES: usize = 200;
/// The brackets in all that gives a name to a value: each may wrap what the one before has made.
const MOST_BRACKETS: usize = 1000;

/// Refuses a template that is larger than any that somebody means.
pub(super) fn check(text: &str) -> Result<(), Wrong> {
    if text.len() > LONGEST {
        return Err(Wrong { line: 1, column: None, message: "a template has at most 1 MiB".to_owned() });
    }
    let mut counts = Counts::default();
    // What is no token the parser complains of.
    for (token, span) in tokenize(text, false, syntax()).map_while(Result::ok) {
        if let Some(message) = counts.take(&token) {
            let (line, column) = (span.start_line.into(), Some(usize::from(span.start_col).saturating_add(1)));
            return Err(Wrong { line, column, message });
        }
    }
    Ok(())
}

/// What was counted of a template's tokens so far.
#[derive(Default)]
struct Counts<'t> {
    tokens: usize,
    branches: usize,
    brackets: usize,
    /// The braces that the last token stood in have just begun to be a statement.
    begins: bool,
    /// The first word of the statement, if the last token stood in one.
    statement: &'t str,
}

impl<'t> Counts<'t> {
    /// Takes one more; says what is too much.
    fn take(&mut self, token: &Token<'t>) -> Option<String> {
        match *token {
            Token::VariableStart | Token::BlockStart => (self.tokens, self.statement) = (0, ""),
            Token::Ident(word) if self.begins => {
                self.statement = word;
                self.branches = self.branches.saturating_add(usize::from(word == "elif"));
            }
            // How deep it goes is decided by values, and each level takes stack.
            Token::Ident("recursive") if self.statement == "for" => {
                return Some("a loop cannot be recursive here: leave the word out".to_owned());
            }
            Token::BracketOpen | Token::BraceOpen | Token::ParenOpen
                if matches!(self.statement, "set" | "with" | "for") =>
            {
                self.brackets = self.brackets.saturating_add(1);
            }
            _ => {}
        }
        self.tokens = self.tokens.saturating_add(1);
        self.begins = matches!(token, Token::BlockStart);
        if self.tokens > MOST_TOKENS {
            return Some(format!("this is too long: between its braces it has at most {MOST_TOKENS} words and signs"));
        }
        if self.branches > MOST_BRANCHES {
            return Some(format!("a template has at most {MOST_BRANCHES} elif"));
        }
        let too_many = self.brackets > MOST_BRACKETS;
        too_many.then(|| format!("a template has at most {MOST_BRACKETS} brackets in its set, with and for"))
    }
}
