//! Which secrets a template names, read from its syntax tree: all of them are known, whichever way it is gone through.
//!
//! Therefore `secrets` may only be used with a name that stands in the template. What this could overlook, the template
//! would not be shown.

use std::collections::HashSet;

use minijinja::machinery::ast::{CallArg, Expr, Stmt};
use minijinja::machinery::{Span, parse};
use minijinja::{State, Value};

use super::engine::{SECRETS, engine, syntax};
use super::{Escape, Use, bounds};
use crate::reference::SecretName;
use crate::secret::Part;

/// What is known of a secret's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It is a secret of one value.
    Value,
    /// It is a certificate: it has parts.
    Parts,
    /// It is a secret, and something is wrong with it that is told elsewhere.
    Untold,
    /// There is none of this name.
    Nothing,
}

/// Something that is wrong in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, if it is known; it counts characters.
    pub column: Option<usize>,
    /// What, and how to mend it.
    pub message: String,
}

/// What a template uses, or what is wrong with it.
pub(super) fn of(text: &str, holds: &dyn Fn(&str) -> Holds) -> Result<Vec<Use>, Vec<Wrong>> {
    bounds::check(text).map_err(|wrong| vec![wrong])?;
    let unreadable = |error: minijinja::Error| {
        // Nothing has a value yet: here the engine's words are about the template alone.
        let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        vec![Wrong { line: error.line().unwrap_or(1), column: None, message }]
    };
    let engine = engine(Escape::None);
    let undeclared = engine.template_from_str(text).map_err(unreadable)?.undeclared_variables(false);
    let tree = parse(text, "", syntax()).map_err(unreadable)?;
    let known: HashSet<&str> = engine.globals().map(|(name, _)| name).chain([SECRETS]).collect();
    let unknown = undeclared.into_iter().filter(|name| !known.contains(name.as_str())).collect();
    let state = engine.empty_state();
    let mut reader = Reader { holds, unknown, state, found: Vec::new(), wrong: Vec::new() };
    reader.statement(&tree);
    if reader.wrong.is_empty() { Ok(reader.found) } else { Err(reader.wrong) }
}

struct Reader<'r> {
    holds: &'r dyn Fn(&str) -> Holds,
    unknown: HashSet<String>,
    state: State<'r, 'r>,
    found: Vec<Use>,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(each) => {
                self.expression(&each.iter);
                self.expressions(each.filter_expr.iter());
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(choice) => {
                self.expression(&choice.expr);
                self.statements(&choice.true_body);
                self.statements(&choice.false_body);
            }
            Stmt::WithBlock(with) => {
                self.expressions(with.assignments.iter().map(|(_, value)| value));
                self.statements(&with.body);
            }
            Stmt::Set(set) => self.expression(&set.expr),
            Stmt::SetBlock(set) => {
                self.expressions(set.filter.iter());
                self.statements(&set.body);
            }
            Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled);
                self.statements(&escape.body);
            }
            Stmt::FilterBlock(filtered) => {
                self.expression(&filtered.filter);
                self.statements(&filtered.body);
            }
            Stmt::Do(call) => {
                self.expression(&call.call.expr);
                self.arguments(&call.call.args);
            }
        }
    }

    fn expressions<'e>(&mut self, expressions: impl Iterator<Item = &'e Expr<'e>>) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.expression(value);
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        if let Some(mention) = Mention::of(expression) {
            return self.mention(&mention, expression.span().end_line.into());
        }
        match expression {
            Expr::Var(variable) if variable.id == SECRETS => {
                self.wrong(variable.span(), format!("a secret is written {SECRETS}['name'], its name in quotes"));
            }
            Expr::Var(variable) if self.unknown.contains(variable.id) => {
                let message = format!("'{}' is not defined: a template knows '{SECRETS}'", variable.id.escape_debug());
                self.wrong(variable.span(), message);
            }
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                self.expressions([&slice.start, &slice.stop, &slice.step].into_iter().flatten());
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => self.expressions([&operation.left, &operation.right].into_iter()),
            Expr::Compare(compare) => {
                self.expression(&compare.expr);
                self.expressions(compare.ops.iter().map(|operation| &operation.expr));
            }
            Expr::IfExpr(choice) => {
                self.expressions([&choice.test_expr, &choice.true_expr].into_iter());
                self.expressions(choice.false_expr.iter());
            }
            Expr::Filter(filter) => {
                self.is_known("filter", filter.name, filter.span());
                self.expressions(filter.expr.iter());
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.is_known("test", test.name, test.span());
                self.expression(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.expression(&attribute.expr),
            Expr::GetItem(item) => self.expressions([&item.expr, &item.subscript_expr].into_iter()),
            Expr::Call(call) => {
                self.expression(&call.expr);
                self.arguments(&call.args);
            }
            Expr::List(list) => self.expressions(list.items.iter()),
            Expr::Tuple(tuple) => self.expressions(tuple.items.iter()),
            Expr::Map(map) => self.expressions(map.keys.iter().chain(&map.values)),
        }
    }

    fn mention(&mut self, mention: &Mention<'_>, last_line: usize) {
        let Mention { name, part, by_attribute, begins: span } = *mention;
        let shown = name.escape_debug();
        let part = match ((self.holds)(name), part) {
            (Holds::Untold, _) => return,
            (Holds::Nothing, _) => {
                let hint =
                    if by_attribute { format!("; any name can be written {SECRETS}['…']") } else { String::new() };
                return self.wrong(span, format!("there is no secret '{shown}' in 'secrets:'{hint}"));
            }
            (Holds::Value, None) => Part::Value,
            (Holds::Value, Some(_)) => {
                return self.wrong(span, format!("the secret '{shown}' is one value, it has no parts"));
            }
            (Holds::Parts, part) => match textual(part.unwrap_or_default()) {
                Ok(part) => part,
                Err(message) => return self.wrong(span, format!("the secret '{shown}' {message}")),
            },
        };
        if let Ok(secret) = SecretName::parse(name) {
            self.found.push(Use { secret, part, first_line: span.start_line.into(), last_line });
        }
    }

    /// Whether the engine has a filter, or a test, of this name: it has tests that say so.
    fn is_known(&mut self, kind: &str, name: &str, span: Span) {
        if !self.state.perform_test(kind, &[Value::from(name)]).unwrap_or(false) {
            self.wrong(span, format!("there is no {kind} '{}'", name.escape_debug()));
        }
    }

    fn wrong(&mut self, span: Span, message: String) {
        let (line, column) = (span.start_line.into(), Some(usize::from(span.start_col).saturating_add(1)));
        self.wrong.push(Wrong { line, column, message });
    }
}

/// The part of a certificate that is called so, if it is text.
pub fn textual(name: &str) -> Result<Part, String> {
    let names = Part::OF_CERTIFICATE.into_iter().filter(|part| *part != Part::Pfx).map(Part::name);
    let names = names.collect::<Vec<_>>().join(", ");
    match Part::named(name) {
        Some(Part::Pfx) => Err(format!("has no text in its part 'pfx': name one of {names}")),
        Some(part) => Ok(part),
        None => Err(format!("is a certificate: name one of its parts, {names}")),
    }
}

/// `secrets['name']` or `secrets.name`, and a part of it, written the same way.
#[derive(Debug, Clone, Copy)]
struct Mention<'t> {
    name: &'t str,
    part: Option<&'t str>,
    by_attribute: bool,
    begins: Span,
}

impl<'t> Mention<'t> {
    fn of(expression: &'t Expr<'t>) -> Option<Self> {
        let (inside, key, by_attribute) = step(expression)?;
        if let Some(begins) = root(inside) {
            return Some(Self { name: key, part: None, by_attribute, begins });
        }
        let (around, name, by_attribute) = step(inside)?;
        root(around).map(|begins| Self { name, part: Some(key), by_attribute, begins })
    }
}

/// Where `secrets` stands, if that is what the expression is.
fn root(expression: &Expr<'_>) -> Option<Span> {
    match expression {
        Expr::Var(variable) if variable.id == SECRETS => Some(variable.span()),
        _ => None,
    }
}

/// What is looked into, and the name that is looked up in it.
fn step<'t>(expression: &'t Expr<'t>) -> Option<(&'t Expr<'t>, &'t str, bool)> {
    match expression {
        Expr::GetAttr(attribute) => Some((&attribute.expr, attribute.name, true)),
        Expr::GetItem(item) => match &item.subscript_expr {
            Expr::Const(name) => Some((&item.expr, name.value.as_str()?, false)),
            _ => None,
        },
        _ => None,
    }
}
