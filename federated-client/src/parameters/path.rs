/// Where a visitor is within a module.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub(super) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// The name of the tensor at this place.
    pub(super) fn name(&self) -> String {
        self.0.join(".")
    }
}
