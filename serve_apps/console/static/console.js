// The console works without this file. It fills in the sign-in link, remembers the browser's time zone,
// and closes menus. Each further duty has a file of its own.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !/(^|; )signals-zone=/.test(document.cookie)) {
  document.cookie = `signals-zone=${encodeURIComponent(zone).replaceAll("%2F", "/")}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

// The token stands behind `#`, which browsers send to no server. Only this form sends it, once.
const signIn = document.getElementById("sign-in");
function useLink() {
  if (!signIn || location.hash.length < 2) return;
  signIn.elements.link.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  signIn.requestSubmit();
}
useLink();
addEventListener("hashchange", useLink); // a link that is pasted into the address of the sign-in page

addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A reference may lead into what is folded; not every browser opens it.
function unfold() {
  const place = document.getElementById(location.hash.slice(1));
  for (let fold = place?.closest("details:not([open])"); fold; fold = place.closest("details:not([open])")) fold.open = true;
  place?.scrollIntoView();
}
unfold();
addEventListener("hashchange", unfold);

// Changes that cannot be taken back are asked about first.
addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.classList.contains("danger")) return;
  if (!confirm(`${button.getAttribute("aria-label") || button.textContent.trim()}?`)) event.preventDefault();
});

// On a phone the navigation is wider than the screen.
const current = document.querySelector(".top nav [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.clientWidth / 2;
