"""resopt inside other libraries' own cache and model interfaces; each module needs the library it is named after."""
