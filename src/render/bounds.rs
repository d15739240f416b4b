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

/// Refuses a template that is larger than any that somebody means.
pub(super) fn check(text: &str) -> Result<(), Wrong> {
    if text.len() > LONGEST {
        return Err(Wrong { line: 1, column: None, message: "a template has at most 1 MiB".to_owned() });
    }
    let (mut tokens, mut branches, mut begins) = (0_usize, 0_usize, false);
    // What is no token the parser complains of.
    for (token, span) in tokenize(text, false, syntax()).map_while(Result::ok) {
        if matches!(token, Token::VariableStart | Token::BlockStart) {
            tokens = 0;
        }
        tokens = tokens.saturating_add(1);
        branches = branches.saturating_add(usize::from(begins && matches!(token, Token::Ident("elif"))));
        begins = matches!(token, Token::BlockStart);
        let message = match (tokens > MOST_TOKENS, branches > MOST_BRANCHES) {
            (true, _) => format!("this is too long: between its braces it has at most {MOST_TOKENS} words and signs"),
            (_, true) => format!("a template has at most {MOST_BRANCHES} elif"),
            _ => continue,
        };
        let (line, column) = (span.start_line.into(), Some(usize::from(span.start_col).saturating_add(1)));
        return Err(Wrong { line, column, message });
    }
    Ok(())
}
