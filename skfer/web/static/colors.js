// A colour for each expression, from the style sheet: it knows light from dark.

const OTHERS = ["--contempt", "--happy", "--sad", "--fear", "--disgust", "--angry", "--surprise", "--neutral"];
// Over pictures chips are dark, whatever the page is.
const OVER_PICTURE = {
  "--happy": "#ffc94d", "--sad": "#7fb2ff", "--angry": "#ff7b6e", "--surprise": "#ff93c4",
  "--fear": "#b79cff", "--disgust": "#8fce6a", "--neutral": "#c3ccd6", "--contempt": "#5fd6d2",
  "--unsure": "#e0e0e0",
};

function variableOf(name, classes) {
  const own = `--${name}`;
  if (own in OVER_PICTURE) return own;
  const place = classes.indexOf(name);
  return place < 0 ? "--unsure" : OTHERS[place % OTHERS.length]; // no class: the word of abstention
}

export function colorOf(name, classes) {
  return themeColor(variableOf(name, classes));
}

export function colorOverPicture(name, classes) {
  return OVER_PICTURE[variableOf(name, classes)];
}

export function themeColor(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
