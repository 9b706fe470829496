"""Every command of the DSPy bridge over 4-byte-length JSON, with none of our code."""
import json, struct, subprocess, sys
argv = [sys.executable, "-m", "bridge", "bridge.dspy_bridge", "--mode", "pool-worker"]
child = subprocess.Popen([*argv, "--worker-id", "w1"], stdin=-1, stdout=-1)
def ask(call_id, command, **args):
    payload = json.dumps({"id": call_id, "command": command, "args": args}).encode()
    child.stdin.write(struct.pack(">I", len(payload)) + payload)
    child.stdin.flush()
    reply = json.loads(child.stdout.read(struct.unpack(">I", child.stdout.read(4))[0]))
    assert reply["id"] == call_id and reply["success"], reply
    print(command, json.dumps(reply["result"]))
ask(0, "ping", initialization=True, worker_id="w1")
ask(1, "configure_lm", model="local/echo", api_key="none", temperature=0.5, provider="local")
ask(2, "create_program", id="qa", signature={"inputs": [{"name": "question"}], "outputs": [{"name": "answer"}]})
ask(3, "execute_program", program_id="qa", inputs={"question": "What is 2+2?"})
ask(4, "list_programs")
ask(5, "get_program_info", program_id="qa")
ask(6, "get_stats")
ask(7, "delete_program", program_id="qa")
ask(8, "cleanup_session", session_id="s1")
ask(9, "cleanup")
ask(10, "reset_state")
ask(11, "shutdown")
sys.exit(child.wait(5))
