//! Which known name is nearest to this one?

/// The longest name worth comparing: no name in a cluster is longer.
const MAX_NAME: usize = 253;

/// A name as it may stand in a message: cut when it is longer than any name can be.
pub fn shorten(name: &str) -> String {
    if name.len() <= MAX_NAME { name.to_owned() } else { format!("{}...", name.chars().take(64).collect::<String>()) }
}

/// The known names nearest to `asked`, nearest first, at most three; none that is far off.
pub fn nearest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if asked.len() > MAX_NAME {
        return Vec::new();
    }
    // A long namespace before it does not make a short name more alike.
    let own = asked.rsplit('/').next().unwrap_or(asked);
    let limit = (own.chars().count() / 3).clamp(1, 4);
    let near = known.into_iter().filter_map(|name| {
        // The same name in another namespace.
        if name != asked && name.rsplit('/').next() == Some(own) {
            return Some((0, name));
        }
        // A name of a very different length is far off, and need not be compared.
        if name.len().abs_diff(asked.len()) > limit {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&asked.to_lowercase(), &name.to_lowercase());
        (distance <= limit).then_some((distance, name))
    });
    let mut near: Vec<(usize, &str)> = near.collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The end of a sentence about an unknown name: `; did you mean a or b?`, or the names themselves when they are few and
/// none is near, or nothing.
pub fn did_you_mean<'a>(asked: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let near = nearest(asked, known.clone());
    if !near.is_empty() {
        return format!("; did you mean {}?", near.join(" or "));
    }
    let mut all: Vec<&str> = known.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match all.len() {
        1..=6 => format!("; there is {}", all.join(", ")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        let known = ["shop/cart", "shop/catalog", "data/redis"];
        assert_eq!(nearest("shop/crat", known), ["shop/cart"]);
        assert_eq!(nearest("edge/nginx", known), [""; 0]);
        assert_eq!(did_you_mean("shop/crat", known), "; did you mean shop/cart?");
        assert_eq!(did_you_mean("x", known), "; there is data/redis, shop/cart, shop/catalog");
    }
}
