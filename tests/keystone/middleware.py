"""keystonemiddleware's auth_token before an application that answers with what it was told: middleware.py AUTH_URL USER PASSWORD

Reads lines `TOKEN [SERVICE_TOKEN]` and answers each with a line of JSON: the status, and the headers the application saw.
"""

import json
import sys

import webob
from keystonemiddleware import auth_token

SEEN = ["X-Identity-Status", "X-User-Id", "X-User-Name", "X-Project-Id", "X-Project-Name", "X-Roles", "X-Is-Admin-Project",
        "X-Service-Roles", "X-Service-User-Name"]


def application(environ, start_response):
    headers = webob.Request(environ).headers
    seen = {name: headers[name] for name in SEEN if headers.get(name)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


auth_url, user, password = sys.argv[1:4]
protected = auth_token.AuthProtocol(application, {
    "auth_type": "password", "auth_url": auth_url, "username": user, "password": password, "project_name": "service",
    "user_domain_name": "Default", "project_domain_name": "Default", "www_authenticate_uri": auth_url,
    "interface": "internal", "token_cache_time": "-1", "service_token_roles_required": "true",
})
for line in sys.stdin:
    tokens = line.split()
    request = webob.Request.blank("/")
    request.headers["X-Auth-Token"] = tokens[0]
    if len(tokens) > 1:
        request.headers["X-Service-Token"] = tokens[1]
    response = request.get_response(protected)
    seen = response.json if response.status_int == 200 else {}
    challenge = response.headers.get("WWW-Authenticate")
    print(json.dumps({"status": response.status_int, "seen": seen, "challenge": challenge}), flush=True)
