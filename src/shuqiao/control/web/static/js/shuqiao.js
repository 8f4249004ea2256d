/* What makes the pages pleasanter; every page works without it. */
(function () {
  const root = document.documentElement;
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };
  const on = (type, selector, act) => document.addEventListener(type, (event) => {
    const found = event.target instanceof Element && event.target.closest(selector);
    if (found) act(found, event);
  });

  on('click', '[data-sq-theme]', () => {
    root.dataset.bsTheme = root.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    keep('sq-theme', root.dataset.bsTheme);
    document.dispatchEvent(new CustomEvent('sq:theme'));
  });
  on('click', '[data-sq-large]', (button) => {
    const large = root.classList.toggle('is-large');
    button.setAttribute('aria-pressed', String(large));
    keep('sq-large', large ? '1' : '0');
  });
  on('click', '[data-sq-menu]', (button) => {
    const open = document.getElementById('navigation').classList.toggle('open');
    button.setAttribute('aria-expanded', String(open));
  });
  on('click', '[data-sq-print]', () => window.print());
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') document.querySelectorAll('details.sq-drop[open]').forEach((d) => { d.open = false; });
  });

  /* Ctrl K opens the search everywhere. */
  const find = () => {
    const dialog = document.getElementById('sq-find');
    if (dialog && !dialog.open) { dialog.showModal(); dialog.querySelector('input').focus(); }
  };
  on('click', '[data-sq-find]', (_, event) => { event.preventDefault(); find(); });
  document.addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') { event.preventDefault(); find(); }
  });
  on('click', 'dialog.sq-dialog', (dialog, event) => { if (event.target === dialog) dialog.close(); });

  /* A citation opens its clause above the page; without an answer the link is followed as it stands. */
  on('click', 'a[data-sq-article]', async (link, event) => {
    const dialog = document.getElementById('sq-article');
    if (!dialog || dialog.contains(link) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { 'HX-Request': 'true' } });
      if (!answer.ok) throw new Error(String(answer.status));
      document.getElementById('sq-article-body').innerHTML = await answer.text();
      dialog.showModal();
    } catch { location.href = link.href; }
  });

  /* Answering: an item that is not ticked needs its reason; the button says what it will do. */
  const answerForm = document.querySelector('form[data-sq-answer]');
  if (answerForm) {
    const button = answerForm.querySelector('[data-sq-answer-button]');
    const show = () => {
      const boxes = [...answerForm.querySelectorAll('input[name="granted"]')];
      const refused = answerForm.querySelector('input[name="decision"]:checked')?.value === 'refuse';
      boxes.forEach((box) => {
        const row = document.getElementById('why-' + box.value);
        row.hidden = box.checked && !refused;
        box.disabled = refused;
      });
      const count = boxes.filter((box) => box.checked).length;
      const grants = !refused && count > 0;
      button.textContent = (grants ? button.dataset.grant : button.dataset.refuse).replace('{n}', count);
      const mode = (answerForm.querySelector('input[name="mode"]:checked') || {}).value;
      answerForm.querySelectorAll('[data-sq-modes]').forEach((part) => { part.hidden = !part.dataset.sqModes.split(' ').includes(mode); });
      answerForm.querySelectorAll('[data-sq-grant-only]').forEach((part) => { part.hidden = !grants; });
    };
    answerForm.addEventListener('change', show);
    show();
  }

  /* The summary says of which field it speaks: “必填” alone, twice, helps nobody. */
  document.querySelectorAll('.sq-faults a[href^="#"]').forEach((link) => {
    const label = document.querySelector(`label[for="${CSS.escape(decodeURIComponent(link.hash.slice(1)))}"]`);
    const name = label?.firstChild?.textContent.trim();
    const isAlone = link.parentElement.textContent === link.textContent;
    if (name && isAlone && !link.textContent.includes(name)) {
      link.prepend(name + (root.lang.startsWith('zh') ? '：' : ': '));
    }
  });
  /* What went wrong is told first: the summary takes the focus. */
  document.querySelector('[data-sq-focus]')?.focus();
  document.querySelectorAll('[data-sq-large]').forEach((b) => b.setAttribute('aria-pressed', String(root.classList.contains('is-large'))));
})();
