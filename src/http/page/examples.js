// How to push a stream to this server, with its address filled in.

/** The lines for a server as /api/v1/server describes it. */
export function pushExamples(server, hostname) {
  const host = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  const port = server.rtmp_port && server.rtmp_port !== 1935 ? `:${server.rtmp_port}` : "";
  const app = server.live_apps[0];
  const key = server.publish_restricted ? "?key=KEY" : "";
  const url = `rtmp://${host}${port}/${app}/livestream${key}`;
  const encode = "-c:v libx264 -preset veryfast -tune zerolatency -g 50 -pix_fmt yuv420p -c:a aac";
  const quoted = `'${url}'`;
  return [
    ["A test pattern, with ffmpeg", [
      `ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine ${encode} -f flv ${quoted}`,
    ]],
    ["The same by the script that comes with gortmp", [`scripts/push-test-pattern.sh ${quoted}`]],
    ["A USB camera on Linux", [
      `ffmpeg -f v4l2 -i /dev/video0 -an ${encode.replace(" -c:a aac", "")} -f flv ${quoted}`,
    ]],
    ["An IP camera, without coding it anew", [
      `ffmpeg -rtsp_transport tcp -i rtsp://CAMERA/stream -c copy -f flv ${quoted}`,
    ]],
    ["OBS: service “Custom…”, server and stream key", [`rtmp://${host}${port}/${app}`, `livestream${key}`]],
    ["Any player on this network plays it", [`rtmp://${host}${port}/${app}/livestream`]],
  ];
}

/** Fills an element with the lines, each with a button that copies it. */
export function showExamples(container, list, announce) {
  container.replaceChildren(...list.map(([title, lines]) => {
    const way = document.createElement("div");
    way.className = "way";
    const heading = document.createElement("h3");
    heading.textContent = title;
    way.append(heading, ...lines.map((text) => line(text, title, announce)));
    return way;
  }));
}

function line(text, title, announce) {
  const row = document.createElement("div");
  row.className = "line";
  const code = document.createElement("code");
  code.textContent = text;
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.setAttribute("aria-label", `Copy: ${title}`);
  copy.addEventListener("click", async () => {
    if (await copied(text, code)) {
      copy.textContent = "Copied";
      announce("Copied");
    } else {
      announce("Selected: press Ctrl+C to copy");
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  row.append(code, copy);
  return row;
}

/** Pages that are not over HTTPS have no clipboard; then the text is selected at least. */
async function copied(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    }
  }
}
