/* Charts read their figures from the table beside them, so that page and picture cannot differ. */
(function () {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue('--sq-' + name).trim();
  const axis = () => ({
    axisLine: { lineStyle: { color: css('line') } }, axisTick: { show: false },
    axisLabel: { color: css('ink-2'), fontSize: 12 }, splitLine: { lineStyle: { color: css('line-soft') } },
  });
  const figures = (box) => [...document.getElementById(box.dataset.table).tBodies[0].rows].map((row) => ({
    name: row.cells[0].textContent.trim(),
    value: Number(row.cells[1].textContent.replace(/[^0-9.-]/g, '')),
  }));
  const drawn = new Map();
  function draw(box) {
    drawn.get(box)?.dispose();
    const rows = figures(box);
    const chart = echarts.init(box, null, { renderer: 'canvas' });
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
    drawn.set(box, chart);
  }
  const all = () => document.querySelectorAll('[data-sq-chart]').forEach(draw);
  all();
  document.addEventListener('sq:theme', all);
  addEventListener('resize', () => drawn.forEach((chart) => chart.resize()));
})();
