/// Where a visitor is within a module.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// The name of the tensor at this place.
    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }
}
