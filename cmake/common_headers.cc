// Nothing: the target that it makes has only its precompiled headers (AssentBuild.cmake).
