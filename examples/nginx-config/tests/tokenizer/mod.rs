//! Reads a configuration as nginx does (`ngx_conf_read_token`): an independent look at what was written.

/// A directive: its words, and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) words: Vec<String>,
    pub(crate) block: Option<Vec<Node>>,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let tokens = tokens(text)?;
    let mut stack: Vec<(Vec<String>, Vec<Node>)> = vec![(Vec::new(), Vec::new())];
    let mut words = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => words.push(word),
            Token::End if words.is_empty() => return Err("; without a directive".to_owned()),
            Token::End => {
                let words = std::mem::take(&mut words);
                stack.last_mut().ok_or("no block")?.1.push(Node { words, block: None });
            }
            Token::Open => stack.push((std::mem::take(&mut words), Vec::new())),
            Token::Close if !words.is_empty() || stack.len() < 2 => return Err("unexpected }".to_owned()),
            Token::Close => {
                let (words, block) = stack.pop().ok_or("no block")?;
                stack.last_mut().ok_or("no block")?.1.push(Node { words, block: Some(block) });
            }
        }
    }
    if !words.is_empty() || stack.len() != 1 {
        return Err("ends within a directive or block".to_owned());
    }
    Ok(stack.remove(0).1)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            ';' => tokens.push(Token::End),
            '{' => tokens.push(Token::Open),
            '}' => tokens.push(Token::Close),
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' => {
                let mut word = String::new();
                loop {
                    match chars.next().ok_or("ends within quotes")? {
                        '\\' => unescape(chars.next().ok_or("ends within quotes")?, &mut word),
                        end if end == c => break,
                        other => word.push(other),
                    }
                }
                if !chars.peek().is_some_and(|c| " \t\r\n;{)".contains(*c)) {
                    return Err(format!("no blank after the quotes of {word:?}"));
                }
                tokens.push(Token::Word(word));
            }
            first => {
                let mut word = String::new();
                let mut next = Some(first);
                while let Some(c) = next {
                    match c {
                        '\\' => unescape(chars.next().ok_or("ends after a backslash")?, &mut word),
                        '$' if chars.peek() == Some(&'{') => {
                            word.push('$');
                            word.extend(chars.next());
                        }
                        c => word.push(c),
                    }
                    next = chars.next_if(|c| !" \t\r\n;{".contains(*c));
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn unescape(c: char, word: &mut String) {
    match c {
        '"' | '\'' | '\\' => word.push(c),
        't' => word.push('\t'),
        'r' => word.push('\r'),
        'n' => word.push('\n'),
        other => word.extend(['\\', other]),
    }
}
