/* What axe-core finds wrong in a theme. Measuring contrast is most of its work: of texts that look alike on the
   same ground, each is matched and one is measured. */
window.lookAt = async (theme, rules) => {
  const root = document.documentElement, former = root.dataset.bsTheme;
  const put = (name) => {
    if (root.dataset.bsTheme === name) return;
    root.dataset.bsTheme = name;
    document.dispatchEvent(new CustomEvent('sq:theme'));
  };
  const grounds = new Map(), measured = new Set();
  const ground = (element) => {
    if (!element) return '';
    if (!grounds.has(element)) {
      const style = getComputedStyle(element);
      const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.position].join();
      const bare = 'rgba(0, 0, 0, 0),none,1,static';
      grounds.set(element, ground(element.parentElement) + (own === bare ? '' : `/${own}`));
    }
    return grounds.get(element);
  };
  const look = (element) => {
    const { color, fill, fontSize, fontWeight, textShadow } = getComputedStyle(element);
    return [ground(element), color, fill, fontSize, fontWeight, textShadow].join('|');
  };
  const check = axe._audit.checks['color-contrast'];
  const measure = window.measureContrast ??= check.evaluate;
  check.evaluate = function (element, ...more) {
    const seen = look(element);
    if (measured.has(seen)) return true;
    const result = measure.call(this, element, ...more);
    if (result !== undefined) measured.add(seen);
    return result;
  };
  put(theme);
  document.getAnimations().filter((one) => one instanceof CSSTransition).forEach((one) => one.finish());
  try {
    const only = rules && { runOnly: { type: 'rule', values: rules } };
    return (await axe.run(document, { resultTypes: ['violations'], ...only })).violations;
  } finally {
    put(former);
  }
};
// What is evaluated last is the answer, and a function would be called for it.
null;
