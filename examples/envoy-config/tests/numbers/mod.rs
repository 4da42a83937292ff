//! A generator of the tests' own: a failure is the same on every machine.

pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % bound
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Headers of a request, some of them of CORS.
    pub(crate) fn headers(&mut self, origins: &[&str]) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let mut push = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        for name in ["x-env", "X-Env", "x-other", "x-a"] {
            if self.below(3) == 0 {
                push(name, self.one(&["one", "two", "One", ""]));
            }
        }
        if self.below(3) == 0 {
            push("origin", self.one(origins));
            if self.below(2) == 0 {
                push("access-control-request-method", "PUT");
            }
        }
        headers
    }
}
