/* Runs before the page is drawn, so that it never flashes in the wrong theme or size. */
(function () {
  const root = document.documentElement;
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const wanted = new URLSearchParams(location.search).get('theme');
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const theme = wanted || kept('sq-theme') || system;
  root.dataset.bsTheme = theme === 'dark' ? 'dark' : 'light';
  root.classList.toggle('is-large', kept('sq-large') === '1');
})();
