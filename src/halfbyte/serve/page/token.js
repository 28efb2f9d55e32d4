// The token that the server asks for, behind # of the page's address: browsers send that nowhere.

/** @type {string | null} */
export const token = new URLSearchParams(location.hash.slice(1)).get("token");

addEventListener("hashchange", () => {
  if (location.hash.includes("token=")) location.reload();
});
