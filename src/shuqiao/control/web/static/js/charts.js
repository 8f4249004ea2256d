/* Charts read their figures from the table beside them, so that page and picture cannot differ. */
(function () {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue('--sq-' + name).trim();
  const axis = () => ({
    axisLine: { lineStyle: { color: css('line') } }, axisTick: { show: false },
    axisLabel: { color: css('ink-2'), fontSize: 12 }, splitLine: { lineStyle: { color: css('line-soft') } },
  });
  const table = (box) => document.getElementById(box.dataset.table);
  const number = (cell) => Number(cell.textContent.replace(/[^0-9.-]/g, ''));
  // Each column after the first is a line; the second one is dashed, so that colour is not needed to tell them apart.
  function lines(box) {
    const rows = [...table(box).tBodies[0].rows];
    const names = [...table(box).tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim());
    return {
      animation: false, color: [css('c1'), css('c3')],
      textStyle: { fontFamily: css('sans'), color: css('ink') },
      grid: { left: 52, right: 14, top: 14, bottom: 26 },
      tooltip: {
        trigger: 'axis', backgroundColor: css('surface'), borderColor: css('line'),
        textStyle: { color: css('ink'), fontSize: 12 },
      },
      xAxis: { type: 'category', boundaryGap: false, data: rows.map((row) => row.cells[0].textContent.trim()), ...axis() },
      yAxis: { type: 'value', min: 0, splitNumber: 4, ...axis(), axisLine: { show: false } },
      series: names.map((name, at) => ({
        name, type: 'line', symbol: 'none', data: rows.map((row) => number(row.cells[at + 1])),
        lineStyle: { width: 2, type: at ? [6, 3] : 'solid' }, areaStyle: at ? undefined : { opacity: .1 },
      })),
    };
  }
  const figures = (box) => [...document.getElementById(box.dataset.table).tBodies[0].rows].map((row) => ({
    name: row.cells[0].textContent.trim(),
    value: Number(row.cells[1].textContent.replace(/[^0-9.-]/g, '')),
  }));
  const drawn = new Map();
  function draw(box) {
    drawn.get(box)?.dispose();
    const chart = echarts.init(box, null, { renderer: 'canvas' });
    drawn.set(box, chart);
    if (box.dataset.kind === 'lines') {
      chart.setOption(lines(box));
      return;
    }
    const rows = figures(box);
    chart.setOption({
      animation: false, color: [1, 2, 3, 4, 5, 6].map((n) => css('c' + n)),
      textStyle: { fontFamily: css('sans'), color: css('ink') },
      grid: { left: 40, right: 12, top: 24, bottom: 26 },
      xAxis: { type: 'category', data: rows.map((row) => row.name), ...axis() },
      yAxis: { type: 'value', ...axis(), axisLine: { show: false } },
      series: [{
        type: 'bar', barWidth: '52%', data: rows.map((row) => row.value),
        itemStyle: { color: css('c1'), borderRadius: [2, 2, 0, 0] },
        label: { show: true, position: 'top', color: css('ink-2'), fontSize: 12 },
        markLine: box.dataset.limit ? {
          symbol: 'none', silent: true, lineStyle: { color: css('bad'), width: 1.5, type: 'solid' },
          label: { formatter: box.dataset.limit, color: css('bad') }, data: [{ yAxis: Number(box.dataset.limit) }],
        } : undefined,
      }],
    });
  }
  const all = () => document.querySelectorAll('[data-sq-chart]').forEach(draw);
  all();
  document.addEventListener('sq:theme', all);
  document.addEventListener('htmx:afterSettle', () => {
    drawn.forEach((chart, box) => { if (!box.isConnected) { chart.dispose(); drawn.delete(box); } });
    all();
  });
  addEventListener('resize', () => drawn.forEach((chart) => chart.resize()));
})();
