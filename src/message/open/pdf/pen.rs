//! Where text is drawn (ISO 32000-1 8.3.4, 9.3, 9.4): the operators that move, and how far a text reaches.

use super::cmap::Font;
use super::lex::Object;

/// Maximum number of saved states; further ones are not restored.
const SAVED: usize = 64;

/// A transformation of coordinates (8.3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// This transformation, followed by another.
    fn then(self, next: Self) -> Self {
        let [right, up] = [next.0[0], next.0[1]];
        let [right_of_up, up_of_up] = [next.0[2], next.0[3]];
        let along = |x: f64, y: f64| [x * right + y * right_of_up, x * up + y * up_of_up];
        let [[one, two], [three, four], [x, y]] =
            [along(self.0[0], self.0[1]), along(self.0[2], self.0[3]), along(self.0[4], self.0[5])];
        Self([one, two, three, four, x + next.0[4], y + next.0[5]])
    }

    /// A shift, followed by this transformation.
    fn shifted(self, x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y]).then(self)
    }
}

/// What `q` saves, as far as it matters.
#[derive(Clone)]
struct State<'a> {
    page: Matrix,
    font: &'a Font,
    /// Size of the font, in units of the text space.
    size: f64,
    /// Space added to every character, and to every blank.
    characters: f64,
    blanks: f64,
    /// Horizontal scale, 1 for normal.
    scale: f64,
    /// Distance of two lines.
    leading: f64,
}

/// The place of a piece of text: a stretch on a line of some direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The direction in which it is written, in whole degrees.
    pub(super) angle: f64,
    /// The place of its line, measured across that direction.
    pub(super) across: f64,
    /// Beginning and end along that direction.
    pub(super) from: f64,
    pub(super) to: f64,
    /// The size of the font in the same units.
    pub(super) em: f64,
}

/// The state of drawing.
pub(super) struct Pen<'a> {
    now: State<'a>,
    saved: Vec<State<'a>>,
    text: Matrix,
    line: Matrix,
    /// Whether an operator placed the pen since text was drawn.
    moved: bool,
}

impl<'a> Pen<'a> {
    pub(super) fn new(font: &'a Font) -> Self {
        let page = Matrix::IDENTITY;
        let (size, scale) = (1.0, 1.0);
        let now = State { page, font, size, characters: 0.0, blanks: 0.0, scale, leading: 0.0 };
        Self { now, saved: Vec::new(), text: page, line: page, moved: true }
    }

    pub(super) fn font(&self) -> &'a Font {
        self.now.font
    }

    pub(super) fn set_font(&mut self, font: &'a Font, size: &Object) {
        self.now.font = font;
        if let Object::Number(size) = size {
            self.now.size = *size;
        }
    }

    /// Whether an operator placed the pen since this was last asked.
    pub(super) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Applies an operator that draws nothing.
    pub(super) fn apply(&mut self, operator: &[u8], operands: &[Object]) {
        match operator {
            b"q" if self.saved.len() < SAVED => self.saved.push(self.now.clone()),
            b"Q" => self.now = self.saved.pop().unwrap_or_else(|| self.now.clone()),
            b"cm" => {
                if let Some(matrix) = numbers(operands) {
                    self.now.page = Matrix(matrix).then(self.now.page);
                    self.moved = true;
                }
            }
            b"BT" => self.place(Matrix::IDENTITY),
            b"Tm" => {
                if let Some(matrix) = numbers(operands) {
                    self.place(Matrix(matrix));
                }
            }
            b"Td" | b"TD" => {
                if let Some([right, up]) = numbers(operands) {
                    if operator == b"TD" {
                        self.now.leading = -up;
                    }
                    self.place(self.line.shifted(right, up));
                }
            }
            b"T*" | b"'" => self.next_line(),
            b"\"" => {
                if let Some([blanks, characters]) = numbers(operands.get(..2).unwrap_or_default()) {
                    (self.now.blanks, self.now.characters) = (blanks, characters);
                }
                self.next_line();
            }
            _ => self.set(operator, operands),
        }
    }

    fn set(&mut self, operator: &[u8], operands: &[Object]) {
        let Some([value]) = numbers(operands) else { return };
        match operator {
            b"Tc" => self.now.characters = value,
            b"Tw" => self.now.blanks = value,
            b"Tz" => self.now.scale = value / 100.0,
            b"TL" => self.now.leading = value,
            _ => {}
        }
    }

    fn place(&mut self, at: Matrix) {
        (self.text, self.line, self.moved) = (at, at, true);
    }

    fn next_line(&mut self) {
        self.place(self.line.shifted(0.0, -self.now.leading));
    }

    /// Moves on by an adjustment within a text: thousandths of the size of the font, to the left.
    pub(super) fn adjust(&mut self, thousandths: f64) {
        let width = -thousandths / 1_000.0 * self.now.size * self.now.scale;
        self.text = self.text.shifted(width, 0.0);
    }

    /// Moves over a text that is drawn; returns its place.
    pub(super) fn advance(&mut self, text: &[u8]) -> Spot {
        let State { page, font, size, characters, blanks, scale, .. } = &self.now;
        let reach = font.reach(text);
        let width = (reach.width * size + reach.codes * characters + reach.blanks * blanks) * scale;
        let [over, rise, _, _, x, y] = self.text.then(*page).0;
        // A negative size turns the direction.
        let turn = (size * scale).signum();
        let unit = over.hypot(rise);
        let (right, up) = (over / unit * turn, rise / unit * turn);
        let from = x * right + y * up;
        self.text = self.text.shifted(width, 0.0);
        let angle = up.atan2(right).to_degrees().round();
        Spot {
            // One value for each direction: upside down is not -180, straight is not -0.
            angle: if angle <= -180.0 { 180.0 } else { angle + 0.0 },
            across: y * right - x * up,
            from,
            to: from + width * unit * turn,
            em: (size * scale).abs() * unit,
        }
    }
}

/// The last operands, if they are numbers.
fn numbers<const N: usize>(operands: &[Object]) -> Option<[f64; N]> {
    let mut found = [0.0; N];
    for (number, object) in found.iter_mut().zip(operands.last_chunk::<N>()?) {
        match object {
            Object::Number(value) => *number = *value,
            _ => return None,
        }
    }
    Some(found)
}
